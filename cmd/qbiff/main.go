// Qbiff tells a user of new mail, on the terminals where he wants to hear of it.
//
//	Runs as      the user whose mail it is
//	Started by   qmail-local, for a line of a .qmail file
//	Reads        the message (hostile), its environment; /run/utmp
//	Writes       the user's terminals
//	May          what its user may
//	Must not     run a program; keep the mail from being delivered
//	Trusts       /run/utmp, for names of terminals below /dev
//	If captured  the attacker is that user
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.Biff(world.Real())) }
