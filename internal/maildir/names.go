package maildir

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"postrider/internal/clock"
)

// maxHost is how much of the host's name goes into a file name.
const maxHost = 63

// Names makes names for messages: time.M<usec>P<pid>Q<seq>.host. One process
// has one Names; time, process and sequence together are unique on a host.
type Names struct {
	clock    clock.Clock
	pid      int
	host     string
	sequence atomic.Uint64
}

// NewNames returns the Names of this process on the given host.
func NewNames(c clock.Clock, host string) *Names {
	return &Names{clock: c, pid: os.Getpid(), host: escapeHost(host)}
}

// Next returns a new name.
func (n *Names) Next() string {
	now := n.clock.Now()
	return fmt.Sprintf("%d.M%dP%dQ%d.%s", now.Unix(), now.Nanosecond()/1000, n.pid, n.sequence.Add(1), n.host)
}

// escapeHost makes host fit for a file name: '/' ends a name and ':' begins
// the flags, so both are written in octal. Control bytes never belong there.
func escapeHost(host string) string {
	var b strings.Builder
	for _, c := range []byte(host[:min(len(host), maxHost)]) {
		switch {
		case c == '/' || c == ':' || c <= ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() == 0 {
		return "localhost"
	}
	return b.String()
}
