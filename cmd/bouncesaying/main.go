// Bouncesaying refuses a message with a text, if a program says so.
//
//	Runs as      the user whose mail it is
//	Started by   a line in a .qmail file
//	Reads        nothing; its program reads the message
//	Writes       standard error
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

func main() { os.Exit(commands.BounceSaying(world.Real())) }
