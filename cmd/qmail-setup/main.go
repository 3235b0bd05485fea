// qmail-setup makes the users, groups and directories of an installation, or
// with -i puts programs in place.
//
// Usage: qmail-setup [-d destdir] [-i programs] [-h hostname]
//
// Runs as:     root, or the owner of a private qmail home directory
// Started by:  the administrator, by make install and make setup, by packages
// Reads:       its arguments, /etc/passwd, /etc/group, the qmail home
// directory (ours); directories below queue (the queue's users')
// Writes:      /etc/passwd, /etc/group, the qmail home directory
// May:         what its caller may
// Must not:    follow a link below queue; change what an administrator made
// Trusts:      the administrator
// If captured: the machine is lost; it reads nothing from the network or users
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/setup"
)

func main() { os.Exit(setup.Main(world.Real())) }
