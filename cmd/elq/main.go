// Elq moves new mail from a user's Maildir into an mbox, and becomes elm.
//
//	Runs as      the user
//	Started by   the user
//	Reads        the Maildir that MAILDIR names
//	Writes       the mbox that MAIL names
//	May          what its user may; become elm
//	Must not     remove a message before it is on disk in the mbox
//	Trusts       its environment
//	If captured  the attacker is that user
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.Elq(world.Real())) }
