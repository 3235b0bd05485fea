// Maildirwatch shows what is new in a Maildir, again and again.
//
//	Runs as      the user
//	Started by   the user, on a terminal of its own
//	Reads        the Maildir that MAILDIR names (messages are hostile)
//	Writes       standard output
//	May          what its user may
//	Must not     change a message; send bytes of one to the terminal as they are
//	Trusts       its environment
//	If captured  the attacker is that user
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.MaildirWatch(world.Real())) }
