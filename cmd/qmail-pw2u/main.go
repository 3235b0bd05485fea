// Qmail-pw2u makes users/assign of passwd.
//
//	Runs as      the administrator (root)
//	Started by   hand, or a tool that manages users
//	Reads        standard input in the form of passwd; files in users/; where homes are
//	Writes       standard output
//	May          nothing else
//	Must not     find a user for root's mail
//	Trusts       its input, after checking its form
//	If captured  only its administrator could have done it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/users"
)

func main() { os.Exit(users.PasswdToUsers(world.Real())) }
