// Qmail-tlsseen remembers for qmail-remote which hosts have spoken TLS.
//
// Runs as:     qmailt:nofiles, confined
// Started by:  qmail-start, where control/tlsremember asks for it
// Reads:       questions of qmail-remote (hostile); tlsseen, its own
// Writes:      tlsseen; its answers, its log
// May:         nothing else
// Must not:    open other files, use the network, execute
// Trusts:      qmail-start
// If captured: an attacker learns to which hosts mail goes; he can have mail
//
//	wait, or go in plain text to hosts that offer no TLS
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-remote/tlsseen"
)

func main() {
	if err := priv.Enter("qmail-tlsseen"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-tlsseen: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(tlsseen.Main(world.Real()))
}
