package qmailsend

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/wire/spawn"
)

// From announcement to removal, with every log line in its order.
func TestLocalDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	ag := connectAgent(t, r.s, local, 0, always(spawn.Success, "did 1+0+0\n"))
	m := testMessage{id: id(1), sender: "a b@x.org", recipients: []string{"joe@loc.example.org"}, body: "Received: x\n\nhello\n"}
	r.spool.accept(m)
	r.spool.untilRemoved(m.id)
	r.untilEmpty(t)

	want := fmt.Sprintf(`new msg %[1]s
info msg %[1]s: bytes %[2]d from <a_b@x.org> qp %[1]s uid 1000
starting delivery 1: msg %[1]s to local joe@loc.example.org
delivery 1: success: did_1+0+0/
end msg %[1]s`, m.id, len(m.body))
	if got := strings.Join(r.log.all(), "\n"); got != want {
		t.Errorf("log is\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{"status: local 0/10 remote 0/20", "status: local 1/10 remote 0/20", "status: local 0/10 remote 0/20"} {
		r.log.read = min(r.log.read, 0)
		r.log.await(t, line)
	}
	if ag.bodies[0] != m.body || ag.slots != 10 || !gone(r.host.layout.Info(m.id)) {
		t.Errorf("body %q, slots %d, info gone: %v", ag.bodies[0], ag.slots, gone(r.host.layout.Info(m.id)))
	}
}
