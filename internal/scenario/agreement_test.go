package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// prediction is what qmail-explain says of a message.
type prediction struct {
	Sender, Recipient, Client string
	Verdict, Text             string
	Effects                   []string
}

// TestExplainAgrees sends mail of each kind of client and sender to each kind of
// recipient: what qmail-explain says before is what then becomes of it.
func TestExplainAgrees(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := explainedHost(t, net)
	h.Control("maxerrorsmtp", "0")
	h.Control("mtasts", "0")
	h.Control("smtproutes", "relay.example:relay.else.example:2525") // without a login, which the next host would refuse
	clients := []*testhost.Host{net.Host("stranger.example"), net.Host("relay.client.example"), net.Host("other.client.example"), net.Host("denied.client.example")}
	rule := func(c *testhost.Host, what string) string { return c.IP.String() + ":" + what }
	h.Control("tcp.smtp", rule(clients[1], `allow,RELAYCLIENT=""`), rule(clients[2], `allow,RELAYCLIENT="@relay.example"`), rule(clients[3], "deny"))
	others(t, net, h)
	h.StartSuiteWith("./Maildir/")
	predicted := predict(t, h, clients)
	for ctx := testhost.Within(t, 2*soon); ctx.Err() == nil && slices.ContainsFunc(predicted, unresolved); {
		predicted = predict(t, h, clients) // the name servers of a busy machine answer late
	}
	tally := make(map[string]int)
	for _, client := range clients {
		mine := slices.DeleteFunc(slices.Clone(predicted), func(p prediction) bool { return p.Client != client.IP.String() })
		converse(t, h, client, mine, tally)
	}
	t.Logf("%d messages: %v", len(predicted), tally)
	for _, verdict := range []string{"refused", "put off", "delivered", "sent", "bounced", "deferred", "discarded"} {
		if tally[verdict] == 0 && verdict != "put off" {
			t.Errorf("nothing is %s: %v", verdict, tally)
		}
	}
	h.StopSuite()
}

// unresolved reports whether a host was not found of which the name servers know.
func unresolved(p prediction) bool {
	return strings.Contains(p.Text, "any host by that name. (#4.1.2)") && !strings.Contains(p.Recipient, "lame.example")
}

// predict asks qmail-explain for all combinations.
func predict(t *testing.T, h *testhost.Host, clients []*testhost.Host) (all []prediction) {
	t.Helper()
	domains := []string{"mx1.example", "LOCAL.example", "x.sub.example", "off.sub.example", vdomain, "virtual.example", "hack.example",
		"away.example", "null.example", "lame.example", "daneonly.example", "relay.example", "else.example"}
	locals := []string{"alice", "Alice-loop", "alice-empty", "alice-none", "alice-bad", "alice-far", "bob", "bob-list", "bob-secret", "carol", "closed",
		"team", "self", "postmaster", "rootly", "nobody", "vera", "full", "one", "info", `\alice`, "alice%mx1.example"}
	var corpus strings.Builder
	for _, c := range clients {
		for _, sender := range []string{"s@good.example", "who@bad.example", "<>"} {
			for i, domain := range domains {
				for j, local := range locals {
					// All locals at our own domains, and a share elsewhere.
					if i > 0 && (i+j)%4 != 0 || sender != "s@good.example" && (i+j)%7 != 0 {
						continue
					}
					fmt.Fprintf(&corpus, "%s@%s %s %s\n", local, domain, sender, c.IP)
				}
			}
		}
		fmt.Fprintf(&corpus, "postmaster s@good.example %s\n", c.IP)
		fmt.Fprintf(&corpus, "@mx1.example s@good.example %s\n", c.IP)
	}
	h.WriteFile("/tmp/corpus", corpus.String(), 0o600)
	r, err := h.Run(testhost.Within(t, 2*soon), testhost.Command{Argv: []string{explainProgram, "--json", "--corpus", "/tmp/corpus"}})
	if err != nil || r.Stderr != "" {
		t.Fatal(err, r.Stderr)
	}
	for line := range strings.Lines(r.Stdout) {
		var p prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, p)
	}
	if want := strings.Count(corpus.String(), "\n"); len(all) != want {
		t.Fatalf("%d answers to %d questions", len(all), want)
	}
	return all
}

// converse sends what was predicted, one after the other.
func converse(t *testing.T, h, client *testhost.Host, all []prediction, tally map[string]int) {
	t.Helper()
	for len(all) > 0 && !t.Failed() { // one disagreement is enough to read
		some := all[:min(len(all), perConnection)]
		all = all[len(some):]
		c, err := client.SMTP(testhost.Within(t, soon), netip.AddrPortFrom(h.IP, 25).String())
		reply := (*testhost.Reply)(nil)
		if err != nil && !errors.As(err, &reply) {
			t.Fatal(err)
		}
		for _, p := range some {
			tally[p.Verdict]++
			code := 0
			if reply != nil { // the client is turned away
				code = reply.Code
			} else {
				code = one(t, h, c, p)
			}
			if refused := p.Verdict == "refused" || p.Verdict == "put off"; refused != (code != 250) || refused && !strings.HasPrefix(p.Text, fmt.Sprint(code)+" ") {
				t.Errorf("%+v\nbut the reply is %d", p, code)
			}
		}
		if reply == nil {
			c.Close()
		}
	}
}

// perConnection is few enough that qmail-smtpd does not lose its patience.
const perConnection = 15

// one sends a message, and follows it if it is taken.
func one(t *testing.T, h *testhost.Host, c *testhost.Client, p prediction) (code int) {
	t.Helper()
	local, domain, found := strings.Cut(p.Recipient, "@")
	to := `"` + strings.ReplaceAll(local, `\`, `\\`) + `"`
	if found {
		to += "@" + domain
	}
	for _, line := range []string{"RSET", "MAIL FROM:<" + p.Sender + ">", "RCPT TO:<" + to + ">", "DATA"} {
		err := c.Command(line, map[bool]int{true: 3, false: 2}[line == "DATA"])
		if reply := (*testhost.Reply)(nil); errors.As(err, &reply) {
			return reply.Code
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	first := h.Log().Len()
	if _, err := fmt.Fprintf(c.Conn(), "Subject: %s\r\n\r\n.\r\n", p.Recipient); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1000)
	n, err := c.Conn().Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`^250 .* qp (\d+)\r\n$`).FindSubmatch(answer[:n])
	if number == nil {
		t.Fatalf("%+v: the answer to the message is %q", p, answer[:n])
	}
	if p.Verdict == "deferred" {
		// A destination that is down has its next message in a while, or when an
		// operator says so. It may be in hand already: then that is refused.
		argv := []string{"/var/qmail/bin/qmail-queuectl", "retry", string(number[1])}
		if _, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: argv}); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, h, first, string(number[1]), p)
	return 250
}

var anAddress = regexp.MustCompile(`10\.77\.\d+\.\d+|fd77::[0-9a-f]+`)

var didLine = regexp.MustCompile(`did_(\d+)\+(\d+)\+(\d+)/`)

// follow waits for the delivery of a message.
func follow(t *testing.T, h *testhost.Host, first int, id string, p prediction) {
	t.Helper()
	started := h.WaitForLog(first, `^starting delivery (\d+): msg `+id+` to (local|remote) (.*)$`)
	got := h.WaitForLog(first, `^delivery `+started[1]+`: (\w+): (.*)$`)
	want := map[string]string{
		"delivered": "local success", "discarded": "local success", "sent": "remote success", "bounced": "failure", "deferred": "deferral",
	}[p.Verdict]
	if !strings.HasSuffix(started[2]+" "+got[1], want) {
		t.Errorf("%+v\nbut %s\n%s", p, started[0], got[0])
		return
	}
	if p.Text != "" && p.Verdict != "discarded" {
		text := strings.NewReplacer(" ", "_", "\n", "/").Replace(p.Text)
		// Which address of a host has its turn first is chance.
		if !strings.Contains(anAddress.ReplaceAllString(got[2], "IP"), anAddress.ReplaceAllString(text, "IP")) {
			t.Errorf("%+v\nbut %s", p, got[0])
		}
	}
	if p.Verdict == "delivered" {
		if did := didLine.FindString(got[2]); did != summaryOf(p.Effects) {
			t.Errorf("%+v\nbut %s", p, got[0])
		}
	}
}

// summaryOf is the summary of qmail-local for effects.
func summaryOf(effects []string) string {
	var files, forwards, programs int
	for _, e := range effects {
		switch kind, _, _ := strings.Cut(e, " "); kind {
		case "forward":
			forwards++
		case "program":
			programs++
		default:
			files++
		}
	}
	return fmt.Sprintf("did_%d+%d+%d/", files, forwards, programs)
}
