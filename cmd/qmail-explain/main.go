// Qmail-explain tells what this host would do with a message, and why.
//
//	Runs as      root, to see all; anybody, to see what he may
//	Started by   administrators; sendmail -bv and -bt
//	Reads        control files, users/cdb, users/assign, /etc/passwd and the tables of
//	             aliases (the administrator's); a corpus of addresses; what the
//	             programs say that it asks (read in files of users and in the DNS)
//	Writes       standard output
//	May          start qmail-smtpd, qmail-lookup, qmail-local, qmail-remote and
//	             qmail-mtasts, as root each as the user that it runs as for mail, and
//	             getent
//	Must not     change anything, send mail, open a file of a user as root
//	Trusts       the administrator's files, the programs of the suite
//	If captured  an attacker is who called it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/explain"
)

func main() { os.Exit(explain.Main(world.Real())) }
