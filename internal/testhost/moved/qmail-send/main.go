// qmail-send on a clock that a test moves. Apart from the clock it is
// cmd/qmail-send; it is installed in its place on test hosts only.
package main

import (
	"fmt"
	"os"

	"postrider/internal/priv"
	"postrider/internal/testhost/moved"
	"postrider/internal/world"
	qmailsend "postrider/qmail-send"
)

func main() {
	// Before Enter, which closes the way to the file.
	w := world.Real()
	var err error
	if w.Clock, err = moved.Open(w.Home); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-send: fatal: %v\n", err)
		os.Exit(111)
	}
	if err := priv.Enter("qmail-send"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-send: fatal: %v\n", err)
		os.Exit(111)
	}
	os.Exit(qmailsend.Main(w))
}
