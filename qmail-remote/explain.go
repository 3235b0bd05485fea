package qmailremote

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"postrider/internal/address"
	"postrider/internal/idn"
	"postrider/internal/legible"
	"postrider/internal/world"
)

// explainOption is the first operand that asks where a message would go.
const explainOption = "--explain"

const usage = "qmail-remote: usage: qmail-remote --explain recipient [sender]\n"

// explainMain is "qmail-remote --explain recipient [sender]": it says what would
// be done, greets the server that would be asked first, and sends nothing.
func explainMain(w world.World) int {
	return explain(w, newClient(w, 0))
}

func explain(w world.World, c *client) int {
	defer c.pool.close()
	if len(w.Args) < 3 || len(w.Args) > 4 {
		_, _ = w.Stderr.WriteString(usage)
		return exitMisused
	}
	recipient, err := address.New(w.Args[2])
	if err != nil || !sendable(recipient) {
		_, _ = w.Stderr.WriteString(usage)
		return exitMisused
	}
	var sender address.Address
	if len(w.Args) == 4 {
		if sender, err = address.New(w.Args[3]); err != nil {
			_, _ = w.Stderr.WriteString(usage)
			return exitMisused
		}
	}
	domain := recipient.Domain()
	if !recipient.HasDomain() {
		domain = recipient.String() // a domain alone will do
	}
	e := &explanation{c: c, out: w.Stdout}
	e.explain(context.Background(), sender, withoutDot(domain))
	if e.err != nil {
		return exitTrouble
	}
	return 0
}

// explanation writes what would be done, a line each.
type explanation struct {
	c   *client
	out io.Writer
	err error // of writing
}

func (e *explanation) say(format string, args ...any) {
	if _, err := io.WriteString(e.out, legible.Text(fmt.Sprintf(format, args...))+"\n"); err != nil {
		e.err = err
	}
}

func (e *explanation) explain(ctx context.Context, sender address.Address, domain string) {
	set, err := e.c.settings()
	if err != nil {
		e.say("%v", err)
		e.result(noControls())
		return
	}
	r, file, err := set.route(sender, domain)
	switch {
	case err != nil:
		e.result(badRoute(file, err))
		return
	case file != "":
		e.say("route: control/%s: %s port %d%s", file, r.host(), r.port, r.words())
	default:
		e.say("route: none, by the DNS")
		e.exchangers(ctx, set, domain)
	}
	targets, failed := e.c.targets(ctx, set, sender, domain)
	if failed != nil {
		e.result(failed)
		return
	}
	if targets[0].protocol != lmtp {
		e.dkim(set, idn.Key(sender.Domain()))
	}
	j := e.c.journey(ctx, set, targets, mail{sender: sender}, domain)
	for _, t := range j.targets {
		from, _ := j.from(t)
		key := j.key(t, from)
		e.say("address: %s preference %d host %s from %s as %s%s", t.addr, t.pref, orNone(t.host), sourceName(from), key.helo, e.memory(t))
	}
	e.greet(ctx, j)
}

// exchangers says what the DNS has for a domain, with what is left out later.
func (e *explanation) exchangers(ctx context.Context, set *settings, domain string) {
	if _, ok := parseLiteral(domain); ok {
		e.say("mx: none, %s is an address", domain)
		return
	}
	mxs, err := set.dns.MX(ctx, domain)
	if err != nil {
		e.say("mx: %v", err)
	}
	for _, mx := range mxs {
		e.say("mx: %d %s", mx.Pref, orNone(mx.Host))
	}
}

// greet opens a session with the first address that answers, and ends it.
func (e *explanation) greet(ctx context.Context, j *journey) {
	for j.addresses < maxAddresses && j.sessions < maxSessions {
		at, from := j.next()
		if at < 0 {
			break
		}
		key := j.key(j.targets[at], from)
		j.done[at] = true
		j.addresses++
		if key.protocol == qmtp {
			e.say("connection: %s is not connected to, QMTP has no greeting", key.addr)
			return
		}
		if fault := j.plan.fault(j.targets[at]); fault != nil {
			e.result(fault)
			continue
		}
		s, fault, err := e.c.connect(ctx, j.set, key, j.plan.wantFor(j.targets[at]))
		if err != nil {
			e.say("connection: %s: %v", key.addr, err)
			continue
		}
		j.sessions++
		if fault != nil {
			e.result(fault)
			continue
		}
		e.say("connection: %s from %s", key.addr, s.conn.LocalAddr())
		if s.tls != nil {
			e.say("tls: %s %s verify=%s", s.tls.version, s.tls.cipher, s.tls.verified)
		}
		e.say("server: %s", s.ext)
		s.quit(quitPatience)
		e.say("result: mail would be sent now")
		return
	}
	e.result(noConnection())
}

func (e *explanation) result(r *report) {
	for line := range strings.SplitSeq(strings.TrimSuffix(r.text, "\n"), "\n") {
		e.say("result: %s", line)
	}
}

// memory says what is known of an address.
func (e *explanation) memory(t target) string {
	if e.c.down.skip(t.addr.Addr()) {
		return ", not tried for a while: connections time out"
	}
	return ""
}

func orNone(host string) string {
	if host == "" {
		return "none"
	}
	return host
}

func sourceName(s source) string {
	name := "any address"
	if s.addr.IsValid() {
		name = s.addr.String()
	}
	if s.proxy.IsValid() {
		name += " by the proxy " + s.proxy.String()
	}
	return name
}

// String lists what a server offers of what is made use of.
func (x extensions) String() string {
	var words []string
	for _, e := range []struct {
		offered bool
		word    string
	}{
		{x.pipelining, "PIPELINING"}, {x.eightBit, "8BITMIME"}, {x.utf8, "SMTPUTF8"}, {x.dsn, "DSN"}, {x.chunking, "CHUNKING"}, {x.startTLS, "STARTTLS"}, {x.requireTLS, "REQUIRETLS"},
		{x.size, "SIZE " + strconv.FormatInt(x.maxSize, 10)}, {x.auth != "", "AUTH " + x.auth},
		{x.limits.mail > 0, "MAILMAX=" + strconv.Itoa(x.limits.mail)}, {x.limits.rcpt > 0, "RCPTMAX=" + strconv.Itoa(x.limits.rcpt)},
	} {
		if e.offered {
			words = append(words, e.word)
		}
	}
	if words == nil {
		return "offers nothing that is made use of"
	}
	return "offers " + strings.Join(words, ", ")
}
