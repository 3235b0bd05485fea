// Qmail-getpw says who mail for a local part belongs to.
//
//	Runs as      whoever starts it
//	Started by   administrators, programs that were written for qmail
//	Reads        passwd, control/break; where homes are
//	Writes       standard output
//	May          run getent, where the machine has accounts beyond passwd
//	Must not     find a user for root's mail
//	Trusts       passwd, after checking its form
//	If captured  what its caller could do anyway
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/users"
)

func main() { os.Exit(users.GetPW(world.Real())) }
