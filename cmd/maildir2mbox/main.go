// Maildir2mbox moves the messages of a Maildir into an mbox.
//
//	Runs as      the user whose mail it is
//	Started by   users, their mail readers
//	Reads        the user's Maildir
//	Writes       the user's mbox; it removes what is in it from the Maildir
//	May          nothing else
//	Must not     remove a message before it is on disk elsewhere
//	Trusts       its variables
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.MaildirToMbox(world.Real())) }
