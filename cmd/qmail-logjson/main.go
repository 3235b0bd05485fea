// Qmail-logjson writes the lines of the suite's log as JSON objects.
//
//	Runs as      qmaill, or whoever starts it
//	Started by   qmail-start, if control/logformat says json; administrators
//	Reads        standard input (lines of the daemons, which they have cleaned)
//	Writes       standard output; standard error if it cannot go on
//	May          what its caller may
//	Must not     start programs, use the network, open files
//	Trusts       nothing
//	If captured  the log can be falsified from now on
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/logjson"
)

func main() { os.Exit(logjson.Main(world.Real())) }
