// Preline hands a message to a program, behind the lines of its delivery.
//
//	Runs as      the user whose mail it is
//	Started by   a line in a .qmail file
//	Reads        the message, the variables of qmail-local
//	Writes       its program's standard input; standard error
//	May          run the program that it is given
//	Must not     gain rights that its caller has not
//	Trusts       its arguments
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/commands"
)

func main() { os.Exit(commands.Preline(world.Real())) }
