package scenario

import (
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// wrapper is a program in the place of qmail-remote as people write them: it
// looks at the message, refuses some, and signs and hands on the others.
const wrapper = `#!/bin/sh
case "$3" in
later@*) printf 'sgreylisted\n\0ZGiving up for now.\n\0'; exit 0;;
never@*) printf 'hno such user\n\0DGiving up.\n\0'; exit 0;;
crash@*) kill -9 $$;;
misused@*) exit 100;;
trouble@*) exit 111;;
odd@*) exit 2;;
silent@*) exit 0;;
esac
{ echo "X-Wrapped: $# $1 $2 $3"; cat; } > /tmp/wrapped/$$ || exit 111
qmail-remote "$@" < /tmp/wrapped/$$
`

// TestRemoteProgram has a program deliver to other hosts, in all the ways that
// it can answer, and by qmail-remote itself.
func TestRemoteProgram(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example")
	h := mailHost(t, net, "mx1.example", "alice")
	h.WriteFile("/usr/bin/wrapper", wrapper, 0o755)
	h.Must("mkdir", "-m", "1777", "/tmp/wrapped")
	far.StartSuite()
	h.StartSuiteUnder([]string{"env", "QMAILREMOTE=wrapper"})
	h.WaitForLog(0, `^qmail-rspawn: mail to other hosts is given to /usr/bin/wrapper, as QMAILREMOTE says$`)
	if found := h.Find("qmail-remote"); len(found) > 0 {
		t.Errorf("%d qmail-remote", len(found))
	}
	// Two recipients in one message are two runs; a large message comes by
	// descriptor, and each run has all of it.
	large := letter("bob", "large") + strings.Repeat(strings.Repeat("x", 70)+"\n", 1000)
	for _, text := range []string{letter("bob", "small"), large} {
		sendmail(h, "alice", []string{"bob@far.example", "bob-x@far.example"}, text)
	}
	h.WaitForLog(0, `^delivery \d+: success: \d+\.\d+\.\d+\.\d+_accepted_message\./Remote_host_said:_250_`)
	seen := make(map[string]int)
	for _, m := range far.Maildir("bob").Wait(testhost.Within(t, soon), 2) {
		seen[m.Header("X-Wrapped")]++
		if m.Header("Subject") == "large" && !strings.HasSuffix(m.Text, large[len(large)-60_000:]) {
			t.Errorf("the large message has %d bytes", len(m.Text))
		}
	}
	if want := "3 far.example alice@mx1.example bob@far.example"; seen[want] != 2 {
		t.Errorf("%v, want %s", seen, want)
	}
	for local, want := range map[string]string{
		"later":   `deferral: greylisted/Giving_up_for_now\./`,
		"never":   `failure: no_such_user/Giving_up\./`,
		"crash":   `deferral: qmail-remote_crashed\./`,
		"misused": `failure: Unable_to_run_qmail-remote\./`,
		"trouble": `deferral: Unable_to_run_qmail-remote\./`,
		"odd":     `deferral: Unable_to_run_qmail-remote\./`,
		"silent":  `deferral: qmail-remote_produced_no_output\./`,
	} {
		first := h.Log().Len()
		sendmail(h, "alice", []string{local + "@far.example"}, letter(local, local))
		number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to remote `+local+`@far\.example$`)[1]
		h.WaitForLog(first, `^delivery `+number+`: `+want+`$`)
	}
	h.StopSuite()
	far.StopSuite()
}
