// Qmail-rspawn runs the program that QMAILREMOTE names, once a delivery to
// another host.
//
//	Runs as      qmailr:nofiles
//	Started by   qmail-start, in place of qmail-remote, where QMAILREMOTE is in its
//	             environment
//	Reads        jobs of qmail-send; what the program prints (hostile: it says what
//	             other hosts have said)
//	Writes       its answers, its log
//	May          run that program, and kill it
//	Must not     run another program, read the queue
//	Trusts       qmail-start, qmail-send, the program
//	If captured  an attacker sees and changes mail that leaves, and has the network,
//	             as qmailr
package main

import (
	"fmt"
	"os"

	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-remote/rspawn"
)

func main() {
	if err := priv.Enter("qmail-rspawn"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-rspawn: fatal: %v\n", err)
		os.Exit(111)
	}
	os.Exit(rspawn.Main(world.Real()))
}
