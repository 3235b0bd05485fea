// Forward sends a message on to other addresses.
//
//	Runs as      the user whose mail it is
//	Started by   a line in a .qmail file
//	Reads        the message, the variables of qmail-local
//	Writes       the queue, over the public socket; standard error
//	May          queue mail
//	Must not     gain rights that its caller has not
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.Forward(world.Real())) }
