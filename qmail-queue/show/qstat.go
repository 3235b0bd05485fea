package show

import (
	"fmt"
	"io"

	"postrider/internal/queuedir"
	"postrider/internal/world"
)

// Stat is qmail-qstat. Preprocessing is what the name in its second line was
// in qmail; what waits for it here is what programs left in the drop directory
// while qmail-spool was down. As in qmail, the first number includes it.
func Stat(w world.World) int {
	l := queuedir.At(w.Home)
	queued, dropped := 0, 0
	err := entries(l, func(queuedir.ID) error {
		queued++
		return nil
	})
	if err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-qstat: fatal: %v\n", err)
		return exitTemporary
	}
	err = names(l.Drop(), func(name string) error {
		if queuedir.IsDropName(name) {
			dropped++
		}
		return nil
	})
	if err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-qstat: warning: not counting messages left by local programs: %v\n", err)
	}
	_, err = io.WriteString(w.Stdout, fmt.Sprintf(
		"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n", queued+dropped, dropped))
	if err != nil {
		_, _ = fmt.Fprintf(w.Stderr, "qmail-qstat: fatal: unable to write: %v\n", err)
		return exitTemporary
	}
	return 0
}
