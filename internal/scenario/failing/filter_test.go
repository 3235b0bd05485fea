//go:build linux && amd64

package failing

import (
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/milterwire/miltertest"
)

// scanner keeps the message while it looks at it.
const scanner = `#!/bin/sh
umask 077
text=$(mktemp) || exit 71
trap 'rm -f "$text"' EXIT
{ echo "X-Scanned: by a program" && cat; } > "$text" || exit 53
/var/qmail/bin/qmail-queue < "$text"
`

// TestFilters lets calls of qmail-filter fail, and of qmail-smtpd that asks it,
// while mail passes a milter and then a program: none is taken without both.
func TestFilters(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	r.host.Control("tcp.smtp", `:allow,QMAILQUEUE="bin/scan"`)
	r.host.Control("milters", "inet:127.0.0.1:8893 timeout=10")
	r.host.WriteFile("/var/qmail/bin/scan", scanner, 0o755)
	r.serveMilter()
	r.passed = []string{"X-Scanned: by a program\n", "X-Milter: was here\n"}
	r.start()
	for program, share := range map[string]int{"qmail-filter": 6, "qmail-smtpd": 16} {
		r.run(sweep{
			name: "milter and program", program: program, classes: append([]faultcall.Class{faultcall.Start}, servicePath...),
			share: share, most: 5, rest: r.awaitPlain,
			do: func(o faultcall.Order) bool {
				return r.underSMTP(o, []int{600, 100_000}[r.sent%2])
			},
		})
	}
	r.finish()
}

// awaitPlain sends by SMTP until a message is taken.
func (r *rig) awaitPlain() {
	r.t.Helper()
	r.awaitTaken("by SMTP", func() outcome { return r.bySMTP(noFault, 600, "alice") })
}

// serveMilter serves a milter that adds a field, until the test ends.
func (r *rig) serveMilter() {
	l := r.host.Listen("tcp", "127.0.0.1:8893")
	noted := miltertest.Polite(map[byte][]byte{
		'E': miltertest.Packets(miltertest.Packet{Letter: 'h', Data: "X-Milter\x00was here\x00"}, miltertest.Packet{Letter: 'c'}),
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go new(miltertest.Milter).Serve(c, noted)
		}
	}()
}
