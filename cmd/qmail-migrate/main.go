// qmail-migrate writes the configuration of this suite that does what that of
// another mail system does.
//
// Runs as:     whoever calls it, as far as he may read the old configuration
// Started by:  hand
// Reads:       the configuration of Postfix, sendmail or qmail, passwd, and
//
//	instructions in home directories (an administrator's and users',
//	for other programs: hostile)
//
// Writes:      a new directory that its caller names, and a report
// May:         nothing more
// Must not:    touch a configuration that is in use; execute; use the network;
//
//	show a password in its report
//
// Trusts:      its arguments
// If captured: what its caller could do
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/migrate"
)

func main() { os.Exit(migrate.Main(world.Real())) }
