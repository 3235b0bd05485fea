// qmail-auth checks the passwords of clients that log in to SMTP.
//
// Runs as:    qmaila, groups nofiles and qmaila.
// Started by: qmail-start, which restarts it, if there is a users/smtppasswd and
// no control/checkpassword.
// Reads:      users/smtppasswd (the administrator's); questions of qmail-smtpd
// (hostile).
// Writes:     its answers, the log.
// May:        compare passwords and proofs with that file.
// Must not:   use the network, open other files, run programs; say anything of a
// hash.
// Trusts:     qmail-start's control channel, the administrator's file.
// If captured: the attacker has the hashes of all passwords, sees those of
// clients that log in by PLAIN or LOGIN, and lets anybody relay. He sees no mail.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/auth"
)

func main() {
	if err := priv.Enter("qmail-auth"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-auth: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(auth.Main(world.Real()))
}
