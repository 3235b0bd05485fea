package qmtp

import (
	"strings"
	"testing"

	"postrider/internal/address"
)

// FuzzQMTP feeds a conversation in two pieces: whatever is queued has a sound
// envelope for domains of ours only, and there are as many answers as the
// splitting of the same input in another place gives.
func FuzzQMTP(f *testing.F) {
	for _, seed := range []string{
		vector, vector + vector,
		mail("\rx\r\n", "", "a@example.com", "b", ""),
		"0:,", "1:\n,0:,0:,", "2000000009:\n", "3:\na\n,1:s,4:1:a,,5:",
	} {
		f.Add(seed, len(seed)/2)
	}
	fuzzSessions(f, qmtpProtocol, true)
}

func FuzzQMQP(f *testing.F) {
	for _, seed := range []string{qmqpVector, request("", "", "", "a\nb"), "4:1:x,,", "26:3:hi\n,3:s@x,10:"} {
		f.Add(seed, len(seed)/2)
	}
	fuzzSessions(f, qmqpProtocol, false)
}

// fuzzSessions reads the control files once: they cost more than a session.
func fuzzSessions(f *testing.F, p protocol, ours bool) {
	settings := testSettings(f, p, nil)
	f.Fuzz(func(t *testing.T, input string, split int) { fuzzSession(t, settings, p, input, split, ours) })
}

func fuzzSession(t *testing.T, settings *settings, p protocol, input string, split int, ours bool) {
	if split < 0 || split > len(input) {
		split = 0
	}
	s := &script{pieces: []string{input[:split], input[split:]}}
	session, q := sessionWith(settings, p, s)
	o := session.outcome(t, q, s)
	for _, m := range q.taken {
		checkEnvelope(t, m.envelope, ours)
		if !strings.HasPrefix(m.text, "Received: from unknown (192.0.2.1)\n  by mx.example.org with "+p.name+"; ") {
			t.Fatalf("text %q", m.text)
		}
		if len(m.text) > len(input)+200 {
			t.Fatalf("%d octets of %d", len(m.text), len(input))
		}
	}
	octets := &script{pieces: strings.Split(input, "")}
	session, q = sessionWith(settings, p, octets)
	if again := session.outcome(t, q, octets); again.answers != o.answers || len(again.queued) != len(o.queued) {
		t.Fatalf("%q: %q in two pieces, %q octet by octet", input, o.answers, again.answers)
	}
}

func checkEnvelope(t *testing.T, envelope string, ours bool) {
	t.Helper()
	inner, whole := strings.CutSuffix(envelope, "\x00\x00")
	if !whole {
		t.Fatalf("envelope %q", envelope)
	}
	for i, record := range strings.Split(inner, "\x00") {
		if record == "" || (record[0] == 'F') != (i == 0) || (record[0] == 'T') != (i > 0) {
			t.Fatalf("envelope %q", envelope)
		}
		a, err := address.New(record[1:])
		if err != nil {
			t.Fatalf("envelope %q: %v", envelope, err)
		}
		if ours && i > 0 && a.HasDomain() && !strings.EqualFold(a.Domain(), "example.com") {
			t.Fatalf("envelope %q relays", envelope)
		}
	}
}
