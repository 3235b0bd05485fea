// Maildirmake makes a Maildir, a folder in one, or its quota.
//
//	Runs as      whoever starts it
//	Started by   users, administrators, their scripts
//	Reads        nothing
//	Writes       the directories that it is asked for
//	May          nothing else
//	Must not     gain rights that its caller has not
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.MaildirMake(world.Real())) }
