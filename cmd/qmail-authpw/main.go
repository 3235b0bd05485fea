// qmail-authpw gives a user of SMTP AUTH a password.
//
// Runs as:     the administrator (root)
// Started by:  hand, or a tool that manages users
// Reads:       a password on standard input; users/smtppasswd (both the
// administrator's)
// Writes:      users/smtppasswd, by way of a new file
// May:         nothing more
// Must not:    execute; use the network; show a password
// Trusts:      its arguments, after checking them
// If captured: only its administrator could have done it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/auth"
)

func main() { os.Exit(auth.SetPassword(world.Real())) }
