package qmailsend

import (
	"flag"
	"os"
	"strings"
	"testing"

	"postrider/internal/esmtp"
	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
)

var writeNotices = flag.Bool("write-notices", false, "write testdata/notices anew")

// noticeCases are all kinds of notices, each as the scheduler submits it; none is
// about both channels, of which either may come first. The
// files in testdata/notices are what people and programs get to see;
// internal/scenario has other programs read them.
var noticeCases = []struct {
	name    string
	message testMessage
	order   manage.Kind // of an operator, once all recipients wait
	age     int         // seconds until the notice comes
}{
	{name: "failure", message: testMessage{sender: "jo@x.org", body: "Subject: x\n\ntext of the message\n", recipients: []string{"d1@rem.org", "d2@rem.org", "k@rem.org"}}},
	{name: "failure-envelope", message: testMessage{
		sender: "jo@x.org", body: "Subject: x\n\ntext of the message\n", recipients: []string{"d@rem.org"},
		facts: esmtp.Message{Return: esmtp.Headers, EnvelopeID: "QQ+2B314159"}, wishes: []esmtp.Recipient{{Notify: esmtp.Failure, Original: "rfc822;o+2Bo@x.org"}},
	}},
	{name: "failure-utf8", message: testMessage{
		sender: "jürgen@x.org", body: "Subject: über\n\ntext of the message\n", recipients: []string{"dörte@rem.org"}, facts: esmtp.Message{UTF8: true},
	}},
	{name: "failure-quoted", message: testMessage{sender: "jo e@x.org", body: "Subject: x\n\n--x\n", recipients: []string{`d e@rem.org`}}},
	{name: "failure-list", message: testMessage{sender: "list-@h.org-@[]", body: "List-Id: <l.h.org>\n\ntext\n", recipients: []string{"d@rem.org"}}},
	{name: "failure-no-header", message: testMessage{sender: "jo@x.org", body: "", recipients: []string{"d@rem.org"}}},
	{name: "double", message: testMessage{sender: "", body: "Subject: failure notice\n\nof another message\n", recipients: []string{"d@rem.org"}}},
	{name: "expired", message: testMessage{sender: "jo@x.org", body: "Subject: x\n\ntext\n", recipients: []string{"z@rem.org"}}, age: 1600},
	{name: "operator", message: testMessage{sender: "jo@x.org", body: "Subject: x\n\ntext\n", recipients: []string{"z@rem.org"}}, order: manage.Bounce},
	{name: "delay", message: testMessage{sender: "jo@x.org", body: "Subject: x\n\ntext\n", recipients: []string{"z1@rem.org", "z2@rem.org"}}, age: 16_000},
	{name: "success", message: testMessage{
		sender: "jo@x.org", body: "Subject: x\n\ntext\n", recipients: []string{"k@loc.example.org"},
		wishes: []esmtp.Recipient{{Notify: esmtp.Success, Original: "rfc822;o@x.org"}},
	}},
	{name: "success-relayed", message: testMessage{
		sender: "jo@x.org", body: "Subject: x\n\ntext\n", recipients: []string{"k@rem.org"}, wishes: []esmtp.Recipient{{Notify: esmtp.Success}},
	}},
}

func TestNotices(t *testing.T) {
	t.Parallel()
	for _, c := range noticeCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			control := map[string]string{}
			if c.name == "expired" {
				control["queuelifetime"] = "1000\n"
			}
			r := newRig(t, newHost(t, control), newManualClock())
			r.connect()
			connectAgent(t, r.s, local, 0, byLocalPart)
			connectAgent(t, r.s, remote, 0, func(j spawn.Job, to spawn.Recipient) (spawn.Class, string) {
				if to.Address.String() == "d2@rem.org" {
					return spawn.Failure, "192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such mailbox\nGiving up on 192.0.2.1.\n"
				}
				return byLocalPart(j, to)
			})
			m := c.message
			m.id = id(1)
			r.clock.advance(m.id.Time())
			r.spool.accept(m)
			if c.order != 0 {
				r.until(t, "a deferral", func() bool { return r.s.messages[m.id] != nil && r.s.messages[m.id].is(attempted) })
				r.untilIdle(t)
				r.mustDo(t, c.order, "Nobody reads this mailbox any more.", m.id)
			}
			if c.age > 0 {
				r.toAge(t, m.id.Time(), c.age)
			}
			r.spool.until("a notice", func() bool { return len(r.spool.bounces) > 0 })
			compareNotice(t, c.name, sameBoundary(r.spool.seen().bounces[0].body))
		})
	}
}

func compareNotice(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/notices/" + name
	if *writeNotices {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the notice is\n%s\nand not that of %s", got, path)
	}
	if strings.Contains(got, "\r") {
		t.Error("it has a CR")
	}
}
