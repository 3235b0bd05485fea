package qmailsend

import (
	"strings"
	"testing"

	"postrider/internal/esmtp"
)

// What has to go by TLS is told of by TLS alone, and without its text, whatever
// RET says (RFC 8689 section 5).
func TestRequireTLSBounce(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, remote, 0, byLocalPart)
	r.spool.accept(testMessage{
		id: id(1), sender: "s@x.org", body: "Subject: x\n\nsecret text", recipients: []string{"d1@rem.org"},
		facts: esmtp.Message{RequireTLS: true, Return: esmtp.Full, EnvelopeID: "QQ"},
	})
	r.spool.until("a bounce", func() bool { return len(r.spool.bounces) == 1 })
	r.untilIdle(t)
	bounce := r.spool.seen().bounces[0]
	if bounce.facts != (esmtp.Message{RequireTLS: true}) {
		t.Errorf("the bounce has %+v", bounce.facts)
	}
	if strings.Contains(bounce.body, "secret text") || !strings.Contains(bounce.body, "Subject: x\n") {
		t.Errorf("the bounce is\n%s", bounce.body)
	}
}
