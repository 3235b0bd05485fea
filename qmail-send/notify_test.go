package qmailsend

import (
	"strings"
	"sync"
	"testing"

	"postrider/internal/esmtp"
	"postrider/internal/wire/spawn"
)

// What the client said of a message and its recipients goes with the jobs, and
// a failure that is not to be told makes no bounce, now or after a restart.
func TestNotify(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	r := newRig(t, h, newManualClock())
	r.connect()
	var mu sync.Mutex
	jobs := map[string]spawn.Recipient{}
	var facts esmtp.Message
	note := func(j spawn.Job, to spawn.Recipient) (spawn.Class, string) {
		mu.Lock()
		defer mu.Unlock()
		jobs[to.Address.String()] = to
		facts = j.Facts
		return byLocalPart(j, to)
	}
	connectAgent(t, r.s, remote, 0, note)
	m := testMessage{
		id: id(1), sender: "s@x.org", body: "Subject: x\n\nsecret text",
		recipients: []string{"d1@rem.org", "d2@rem.org", "d3@rem.org", "d4@rem.org", "k@rem.org"},
		facts:      esmtp.Message{UTF8: true, Return: esmtp.Headers, EnvelopeID: "QQ+2B"},
		wishes:     []esmtp.Recipient{{Notify: esmtp.Never}, {Notify: esmtp.Success | esmtp.Delay, Original: "rfc822;o@x"}, {Notify: esmtp.Failure}, {}, {}},
	}
	r.spool.accept(m)
	r.spool.until("a bounce", func() bool { return len(r.spool.bounces) == 1 })
	r.untilIdle(t)
	bounce := r.spool.seen().bounces[0]
	for text, want := range map[string]bool{
		"<d1@rem.org>": false, "<d2@rem.org>": false, "<d3@rem.org>": true, "<d4@rem.org>": true,
		"Subject: x\n": true, "secret text": false, // RET=HDRS
	} {
		if strings.Contains(bounce.body, text) != want {
			t.Errorf("%q in the bounce: %v\n%s", text, !want, bounce.body)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if facts != m.facts {
		t.Errorf("facts %+v of the job", facts)
	}
	for i, to := range m.recipients {
		if jobs[to].Facts != m.wishes[i] {
			t.Errorf("%s: facts %+v, want %+v", to, jobs[to].Facts, m.wishes[i])
		}
	}
}

// A message whose failures are all untold ends without a bounce.
func TestNotifyNever(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, remote, 0, byLocalPart)
	m := testMessage{
		id: id(1), sender: "s@x.org", body: "Subject: x\n\nx", recipients: []string{"d1@rem.org", "d2@rem.org"},
		wishes: []esmtp.Recipient{{Notify: esmtp.Never}, {Notify: esmtp.Never}},
	}
	r.spool.accept(m)
	r.spool.until("the removal", func() bool { return len(r.spool.removed) == 1 })
	r.untilIdle(t)
	if len(r.spool.seen().bounces) != 0 {
		t.Errorf("a bounce:\n%s", r.spool.seen().bounces[0].body)
	}
}

// Who asked for it hears of successes: of a delivery, and of a server that will
// not tell. One that will tell does it.
func TestNotifySuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, local, 0, byLocalPart)
	connectAgent(t, r.s, remote, 0, func(j spawn.Job, to spawn.Recipient) (spawn.Class, string) {
		if strings.HasPrefix(to.Address.String(), "p") {
			return spawn.PassedOn, "192.0.2.1 accepted message.\n"
		}
		return byLocalPart(j, to)
	})
	m := testMessage{
		id: id(1), sender: "s@x.org", body: "Subject: x\n\nsecret text",
		recipients: []string{"k1@loc.example.org", "k2@rem.org", "p@rem.org", "k3@rem.org", "d@rem.org"},
		wishes: []esmtp.Recipient{
			{Notify: esmtp.Success, Original: "rfc822;o@x"}, {Notify: esmtp.Success | esmtp.Failure}, {Notify: esmtp.Success}, {}, {Notify: esmtp.Success | esmtp.Failure},
		},
	}
	r.spool.accept(m)
	r.spool.until("the removal", func() bool { return len(r.spool.removed) == 1 })
	r.untilIdle(t)
	notices := r.spool.seen().bounces
	if len(notices) != 2 {
		t.Fatalf("%d notices", len(notices))
	}
	if b := notices[0].body; !strings.Contains(b, "Subject: failure notice\n") || !strings.Contains(b, "<d@rem.org>:\n") || strings.Contains(b, "<k") {
		t.Errorf("the bounce is\n%s", b)
	}
	told := sameBoundary(notices[1].body)
	for _, want := range []string{ // in the order in which the channels were done
		"\nSubject: success notice\n", "\n<k1@loc.example.org>:\nok\n\n", "\n<k2@rem.org>:\nok\n\n",
		"\n\nAs you wished to know: your message was delivered to the following addresses,\nor handed to a server that will not tell you more.\n\n<k",
		"\n\nThe header of your message comes with this notice.\n\n--BOUNDARY\n",
		`
Original-Recipient: rfc822; o@x
Final-Recipient: rfc822; k1@loc.example.org
Action: delivered
Status: 2.0.0
Diagnostic-Code: x-postrider; ok
Last-Attempt-Date: 22 Nov 2026 00:37:36 -0000

`, `
Final-Recipient: rfc822; k2@rem.org
Action: relayed
Status: 2.0.0
Diagnostic-Code: x-postrider; ok
Last-Attempt-Date: 22 Nov 2026 00:37:36 -0000

`, "\n--BOUNDARY\nContent-Type: text/rfc822-headers\n",
	} {
		if strings.Count(told, want) != 1 {
			t.Errorf("not once in the notice: %q", want)
		}
	}
	if t.Failed() || strings.Contains(told, "secret") || strings.Count(told, "\nAction: ") != 2 {
		t.Errorf("the notice is\n%s", told)
	}
	r.log.await(t, "success msg "+m.id.String()+" qp ")
}
