// Datemail puts a date before a message and hands that to sendmail.
//
//	Runs as      whoever starts it
//	Started by   users and their scripts
//	Reads        the message
//	Writes       sendmail's standard input; standard error
//	May          run sendmail
//	Must not     gain rights that its caller has not
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.DateMail(world.Real())) }
