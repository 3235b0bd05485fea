// qmail-spool on a clock that a test moves, so that the messages it numbers
// are born in the scheduler's time. Apart from the clock it is
// cmd/qmail-spool; it is installed in its place on test hosts only.
package main

import (
	"fmt"
	"os"

	"postrider/internal/priv"
	"postrider/internal/testhost/moved"
	"postrider/internal/world"
	"postrider/qmail-queue/spool"
)

func main() {
	// Before Enter, which closes the way to the file.
	w := world.Real()
	var err error
	if w.Clock, err = moved.Open(w.Home); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-spool: fatal: %v\n", err)
		os.Exit(111)
	}
	if err := priv.Enter("qmail-spool"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-spool: fatal: %v\n", err)
		os.Exit(111)
	}
	os.Exit(spool.Main(w))
}
