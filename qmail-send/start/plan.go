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
	if set.wrapped {
		// What is asked on behalf of qmail-remote has nobody to serve.
		set.asksMTASTS, set.remembersTLS, set.reportsTLS, set.clientKey = false, false, false, nil
	}
	spool := p.add("qmail-spool", "", stopSpool)
	send := p.add("qmail-send", "", stopSend)
	lspawn := p.add("qmail-lspawn", "", stopLocal)
	p.join(spool, parent.Entries, send, parent.Entries)
	p.join(send, parent.Submit, spool, parent.SubmitSend)
	p.join(send, parent.SpawnLocal, lspawn, parent.Spawn)
	var mtasts *member
	if set.asksMTASTS {
		mtasts = p.add("qmail-mtasts", "", stopSpool) // asked until the last delivery
	}
	var seen *member
	if set.remembersTLS {
		seen = p.add("qmail-tlsseen", "", stopSpool)
	}
	reports := p.addTLSReports(set, spool)
	clientKey := p.addClientKey(set)
	dkimKeys := p.addDKIM(set)
	var nss *member
	if set.asksNSS {
		nss = p.add("qmail-nss", "", stopLocal)
		p.join(lspawn, parent.NSS, nss, parent.NSSLspawn)
	}
	workers := set.remotes
	if set.wrapped {
		p.addRemoteProgram(set, send)
		workers = 0
	}
	for i := range workers {
		remote := p.add("qmail-remote", " "+strconv.Itoa(i), stopRemote)
		p.join(send, parent.SpawnRemote(i), remote, parent.Spawn)
		if mtasts != nil {
			p.join(remote, parent.MTASTS, mtasts, parent.MTASTSRemote(i))
		}
		if seen != nil {
			p.join(remote, parent.TLSSeen, seen, parent.TLSSeenRemote(i))
		}
		if reports != nil {
			p.join(remote, parent.TLSRPT, reports, parent.TLSRPTRemote(i))
		}
		if clientKey != nil {
			p.join(remote, parent.Sign, clientKey, parent.SignRemote(i))
		}
		if dkimKeys != nil {
			p.join(remote, parent.DKIM, dkimKeys, parent.DKIMRemote(i))
		}
	}
	var lookup *member
	if set.serves("qmail-smtpd") || set.serves("qmail-qmtpd") {
		lookup = p.add("qmail-lookup", "", stopHelpers)
		if nss != nil {
			p.join(lookup, parent.NSS, nss, parent.NSSLookup)
		}
		if set.looksIntoDomains != nil {
			vlookup := p.add("qmail-vlookup", "", stopHelpers)
			vlookup.role = *set.looksIntoDomains
			p.join(lookup, parent.VLookup, vlookup, parent.VLookupLookup)
		}
	}
	if set.serves("qmail-smtpd") {
		var tlskey *member
		if len(set.keys) > 0 {
			tlskey = p.add("qmail-tlskey", "", stopHelpers)
			tlskey.gifts, tlskey.renew = set.keys, set.openKeys
		}
		var auth *member
		if set.checksPasswords != nil {
			auth = p.add(set.checksPasswords.Program, "", stopHelpers)
			auth.role = *set.checksPasswords
		}
		var policy *member
		if set.asksPolicy {
			policy = p.add("qmail-policy", "", stopHelpers)
		}
		smtpd := p.add("qmail-smtpd", "", stopSMTPD)
		p.join(smtpd, parent.Submit, spool, parent.SubmitSMTPD)
		p.join(smtpd, parent.Lookup, lookup, parent.LookupSMTPD)
		if policy != nil {
			p.join(smtpd, parent.Policy, policy, parent.PolicySMTPD)
		}
		if tlskey != nil {
			p.join(smtpd, parent.Sign, tlskey, parent.SignSMTPD)
		}
		if auth != nil {
			p.join(smtpd, parent.Auth, auth, parent.AuthSMTPD)
		}
		if set.filters {
			filter := p.add("qmail-filter", "", stopHelpers)
			filter.gifts = []parent.Frame{{Kind: parent.Environment, Data: set.environ}}
			p.join(smtpd, parent.Filter, filter, parent.FilterSMTPD)
		}
	}
	if set.serves("qmail-qmtpd") {
		qmtpd := p.add("qmail-qmtpd", "", stopSMTPD)
		p.join(qmtpd, parent.Submit, spool, parent.SubmitQMTPD)
		p.join(qmtpd, parent.Lookup, lookup, parent.LookupQMTPD)
	}
	if set.serves("qmail-qmqpd") {
		p.join(p.add("qmail-qmqpd", "", stopSMTPD), parent.Submit, spool, parent.SubmitQMQPD)
	}
	send.gifts = []parent.Frame{{Kind: parent.RemoteWorkers, Data: strconv.AppendInt(nil, int64(max(workers, 1)), 10)}}
	return p
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

// member returns the first member of a program, or nil.
func (p *plan) member(program string) *member {
	for _, m := range p.members {
		if m.role.Program == program {
			return m
		}
	}
	return nil
}
