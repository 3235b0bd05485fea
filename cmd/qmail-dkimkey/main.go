// qmail-dkimkey makes a key of DKIM, and says what to write into the DNS.
//
// Runs as:     the administrator (root)
// Started by:  hand, or a tool that manages domains
// Reads:       keys in control/domainkeys (the administrator's)
// Writes:      a new key there; standard output, which has nothing secret
// May:         nothing more
// Must not:    replace a key; execute; use the network; show a private key
// Trusts:      its arguments, after checking them
// If captured: only its administrator could have done it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/dkimkey"
)

func main() { os.Exit(dkimkey.Main(world.Real())) }
