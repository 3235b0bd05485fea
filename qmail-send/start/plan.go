package start

import (
	"strconv"
	"time"

	"postrider/internal/priv"
	"postrider/internal/wire/parent"
)

// member is a place in the plan: one process that is meant to run.
type member struct {
	name  string // in log lines
	role  priv.Role
	order int                            // of stopping
	gifts []parent.Frame                 // sent at every start, before links
	renew func() ([]parent.Frame, error) // makes the gifts again; nil for most
	proc  process                        // nil while it does not run
	lines *parent.Channel                // its control channel, nil for the logger

	started time.Time
	deaths  int       // one after another, since it last lived for long
	due     time.Time // of its next start; zero if none is planned
	pulse   pulse     // of the present process

	speaks   int      // the version of the protocols (internal/wire/parent) of the process
	old      bool     // the process is of the program before this one
	retiring bool     // the process is to end, and its successor to be started then
	leaving  *leaving // nil: it belongs to the plan
}

// link is a socket pair between two members, with its name at each end.
type link struct {
	a     *member
	aName string
	b     *member
	bName string
}

// plan is all members in the order in which they start, and their links.
type plan struct {
	members []*member
	links   []link
}

// The order of stopping: who takes in mail, whom those ask, who gives out work,
// who does it, who keeps it, who writes about it.
const (
	stopSMTPD = iota
	stopHelpers
	stopSend
	stopLocal
	stopRemote
	stopSpool
	stopLogger
	stopDone
)

// newPlan returns the plan of what the settings ask for: a daemon of the
// network runs if there is something for it to listen on.
func newPlan(set settings) *plan {
	p := &plan{}
	spool := p.add("qmail-spool", "", stopSpool)
	send := p.add("qmail-send", "", stopSend)
	lspawn := p.add("qmail-lspawn", "", stopLocal)
	p.join(spool, parent.Entries, send, parent.Entries)
	p.join(send, parent.Submit, spool, parent.SubmitSend)
	p.join(send, parent.SpawnLocal, lspawn, parent.Spawn)
	var nss *member
	if set.asksNSS {
		nss = p.add("qmail-nss", "", stopLocal)
		p.join(lspawn, parent.NSS, nss, parent.NSSLspawn)
	}
	workers := set.remotes
	if set.wrapped {
		p.addRemoteProgram(set, send)
		workers = 1
	} else {
		p.addRemotes(set, send, spool)
	}
	send.gifts = []parent.Frame{{Kind: parent.RemoteWorkers, Data: strconv.AppendInt(nil, int64(workers), 10)}}
	var lookup *member
	if set.serves("qmail-smtpd") || set.serves("qmail-qmtpd") {
		lookup = p.addLookup(set, nss)
	}
	if set.serves("qmail-smtpd") {
		p.addSMTPD(set, spool, lookup)
	}
	if set.serves("qmail-qmtpd") {
		qmtpd := p.add("qmail-qmtpd", "", stopSMTPD)
		p.join(qmtpd, parent.Submit, spool, parent.SubmitQMTPD)
		p.join(qmtpd, parent.Lookup, lookup, parent.LookupQMTPD)
	}
	if set.serves("qmail-qmqpd") {
		p.join(p.add("qmail-qmqpd", "", stopSMTPD), parent.Submit, spool, parent.SubmitQMQPD)
	}
	if set.metrics {
		p.add(reader, "", stopHelpers)
	}
	return p
}

// addRemotes adds the workers that deliver to other hosts, and whom they ask:
// those are there until the last delivery.
func (p *plan) addRemotes(set settings, send, spool *member) {
	var mtasts, seen *member
	if set.asksMTASTS {
		mtasts = p.add("qmail-mtasts", "", stopSpool)
	}
	if set.remembersTLS {
		seen = p.add("qmail-tlsseen", "", stopSpool)
	}
	reports := p.addTLSReports(set, spool)
	clientKey := p.addClientKey(set)
	dkimKeys := p.addDKIM(set)
	for i := range set.remotes {
		remote := p.add("qmail-remote", " "+strconv.Itoa(i), stopRemote)
		p.joinIf(mtasts, remote, parent.MTASTS, parent.MTASTSRemote(i))
		p.joinIf(seen, remote, parent.TLSSeen, parent.TLSSeenRemote(i))
		p.joinIf(reports, remote, parent.TLSRPT, parent.TLSRPTRemote(i))
		p.joinIf(clientKey, remote, parent.Sign, parent.SignRemote(i))
		p.joinIf(dkimKeys, remote, parent.DKIM, parent.DKIMRemote(i))
		p.join(send, parent.SpawnRemote(i), remote, parent.Spawn) // the last: it knows then whom it can ask
	}
}

// addLookup adds who says which recipients have a mailbox.
func (p *plan) addLookup(set settings, nss *member) *member {
	lookup := p.add("qmail-lookup", "", stopHelpers)
	p.joinIf(nss, lookup, parent.NSS, parent.NSSLookup)
	if set.looksIntoDomains != nil {
		vlookup := p.add("qmail-vlookup", "", stopHelpers)
		vlookup.role = *set.looksIntoDomains
		p.join(lookup, parent.VLookup, vlookup, parent.VLookupLookup)
	}
	return lookup
}

// addSMTPD adds qmail-smtpd behind those whom it asks.
func (p *plan) addSMTPD(set settings, spool, lookup *member) {
	var tlskey, auth, policy *member
	if len(set.keys) > 0 {
		tlskey = p.add("qmail-tlskey", "", stopHelpers)
		tlskey.gifts, tlskey.renew = set.keys, set.openKeys
	}
	if set.checksPasswords != nil {
		auth = p.add(set.checksPasswords.Program, "", stopHelpers)
		auth.role = *set.checksPasswords
	}
	if set.asksPolicy {
		policy = p.add("qmail-policy", "", stopHelpers)
	}
	smtpd := p.add("qmail-smtpd", "", stopSMTPD)
	p.join(smtpd, parent.Submit, spool, parent.SubmitSMTPD)
	p.join(smtpd, parent.Lookup, lookup, parent.LookupSMTPD)
	p.joinIf(policy, smtpd, parent.Policy, parent.PolicySMTPD)
	p.joinIf(tlskey, smtpd, parent.Sign, parent.SignSMTPD)
	p.joinIf(auth, smtpd, parent.Auth, parent.AuthSMTPD)
	if set.filters {
		filter := p.add("qmail-filter", "", stopHelpers)
		filter.gifts = []parent.Frame{{Kind: parent.Environment, Data: set.environ}}
		p.join(smtpd, parent.Filter, filter, parent.FilterSMTPD)
	}
}

func (p *plan) add(program, number string, order int) *member {
	role, _ := priv.RoleOf(program)
	m := &member{name: program + number, role: role, order: order}
	p.members = append(p.members, m)
	return m
}

func (p *plan) join(a *member, aName string, b *member, bName string) {
	p.links = append(p.links, link{a, aName, b, bName})
}

// joinIf joins who asks with whom it asks, if there is one.
func (p *plan) joinIf(asked, a *member, aName, askedName string) {
	if asked != nil {
		p.join(a, aName, asked, askedName)
	}
}

// member returns the first member of a program, or nil.
func (p *plan) member(program string) *member {
	for _, m := range p.members {
		if m.role.Program == program {
			return m
		}
	}
	return nil
}
