// Qmail-autoresponder answers mail for somebody who is away.
//
//	Runs as      the user whose mail it is
//	Started by   a line in a .qmail file
//	Reads        the message (hostile), the variables of qmail-local, the user's text
//	Writes       the queue, over the public socket; the user's directory of whom was answered
//	May          queue mail, to the sender of the message only
//	Must not     answer lists, programs or bounces; gain rights that its caller has not
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.AutoResponder(world.Real())) }
