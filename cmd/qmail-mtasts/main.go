// Qmail-mtasts finds out for qmail-remote what domains say by MTA-STS, and
// keeps it.
//
// Runs as:     qmailt:nofiles, confined
// Started by:  qmail-start, where control/mtasts asks for it; qmail-explain, with --steps
// Reads:       /etc/resolv.conf, certificate authorities below /etc (the
//
//	administrator's); questions of qmail-remote, answers of name servers and
//	web servers (hostile); mtasts, its own
//
// Writes:      mtasts; its answers, its log
// May:         ask name servers; by TCP, connect to the ports 53 and 443
// Must not:    open other files, connect to other ports by TCP, listen, execute
// Trusts:      qmail-start; certificate authorities
// If captured: an attacker learns to which domains mail goes; he can have mail
//
//	wait, and have it go as without MTA-STS; he can speak to web servers and
//	send UDP
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-remote/mtasts"
)

func main() {
	if err := priv.Enter("qmail-mtasts"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-mtasts: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(mtasts.Main(world.Real()))
}
