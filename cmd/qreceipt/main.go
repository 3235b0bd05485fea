// Qreceipt tells the sender of a message that it was delivered, if he asked.
//
//	Runs as      the user whose mail it is
//	Started by   a line in a .qmail file
//	Reads        the message (hostile), the variables of qmail-local
//	Writes       the queue, over the public socket; standard error
//	May          queue mail
//	Must not     gain rights that its caller has not; answer bounces
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.Receipt(world.Real())) }
