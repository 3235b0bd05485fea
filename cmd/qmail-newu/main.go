// Qmail-newu turns users/assign into users/cdb.
//
// Runs as:     the administrator (root)
// Started by:  hand, or a tool that manages users
// Reads:       users/assign (the administrator's)
// Writes:      users/cdb, by way of users/cdb.tmp
// May:         nothing more
// Must not:    execute; use the network
// Trusts:      users/assign, after checking its form
// If captured: only its administrator could have done it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/users"
)

func main() { os.Exit(users.Main(world.Real())) }
