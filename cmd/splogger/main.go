// Splogger gives the lines of a log to the syslog of the machine.
//
//	Runs as      qmaill, or whoever starts it
//	Started by   qmail-start, as the program for the log; scripts
//	Reads        standard input (lines of the daemons, which they have cleaned)
//	Writes       /dev/log; standard error if its arguments are wrong
//	May          what its caller may
//	Must not     start programs, use the network, read files
//	Trusts       its arguments
//	If captured  the log can be falsified from now on
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/splogger"
)

func main() { os.Exit(splogger.Main(world.Real())) }
