// Package tcpto is qmail-tcpto and qmail-tcpok: they show, and forget, which
// hosts qmail-remote leaves alone for a while because connections to them time
// out.
//
// Only cmd imports it. The table is believed as internal/tcpto says.
package tcpto

import (
	"fmt"
	"strings"

	"postrider/internal/tcpto"
	"postrider/internal/world"
)

const (
	exitOK      = 0
	exitTrouble = 111
)

// Show is qmail-tcpto. Like qmail's it says on standard output what is wrong.
func Show(w world.World) int {
	table, err := tcpto.Open(w.Home, false)
	var s tcpto.Snapshot
	if err == nil {
		defer table.Close()
		err = table.Read(&s)
	}
	if err != nil {
		fmt.Fprintf(w.Stdout, "qmail-tcpto: fatal: %v\n", err)
		return exitTrouble
	}
	var out strings.Builder
	now := w.Clock.Now()
	for _, e := range s.Entries() {
		fmt.Fprintf(&out, "%s timed out %d seconds ago; # recent timeouts: %d\n", e.Addr, int64(now.Sub(e.Last).Seconds()), e.Timeouts)
	}
	if _, err := w.Stdout.WriteString(out.String()); err != nil {
		return exitTrouble
	}
	return exitOK
}

// Clear is qmail-tcpok.
func Clear(w world.World) int {
	table, err := tcpto.Open(w.Home, true)
	if err == nil {
		defer table.Close()
		err = table.Clear()
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-tcpok: fatal: %v\n", err)
		return exitTrouble
	}
	return exitOK
}
