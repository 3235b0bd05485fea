// qmail-checkpass has a checkpassword program check the passwords of clients
// that log in to SMTP.
//
// Runs as:    qmaila, group nofiles, or whom control/checkpassuser names; root is
// possible, and then told in the log.
// Started by: qmail-start, which restarts it, if control/checkpassword names a
// program.
// Reads:      control/checkpassword (the administrator's); questions of
// qmail-smtpd (hostile).
// Writes:     names and passwords to descriptor 3 of that program; its answers,
// the log.
// May:        run that program, one process an attempt.
// Must not:   use the network, touch the queue. The program may do what its user
// may.
// Trusts:     qmail-start's control channel, the control file, the program.
// If captured: the attacker is that user, learns the passwords of clients that
// log in, and lets anybody relay.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/checkpass"
)

func main() {
	if err := priv.Enter("qmail-checkpass"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-checkpass: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(checkpass.Main(world.Real()))
}
