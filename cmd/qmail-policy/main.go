// Qmail-policy asks the DNS for qmail-smtpd, and remembers who came before.
//
// Runs as:     qmailn:nofiles, confined
// Started by:  qmail-start, where qmail-smtpd listens and control/dnsbllist,
//
//	spfbehavior, checkrdns or greylist asks for it
//
// Reads:       /etc/resolv.conf (the administrator's); questions of qmail-smtpd,
//
//	answers of name servers (hostile); policy/greylist, its own
//
// Writes:      policy/greylist; its answers, its log
// May:         ask name servers, by UDP, and by TCP at port 53
// Must not:    open other files, connect elsewhere by TCP, listen, execute
// Trusts:      qmail-start
// If captured: an attacker learns who writes to whom while greylisting or SPF is
//
//	on; he can have mail refused, and let mail in that these checks would
//	refuse; he can send UDP
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/policy"
)

func main() {
	if err := priv.Enter("qmail-policy"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-policy: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(policy.Main(world.Real()))
}
