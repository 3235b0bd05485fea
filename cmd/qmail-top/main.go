// Qmail-top shows what the suite does, on a terminal: queue, channels,
// destinations, sessions, processes and the end of the log, drawn anew each
// second.
//
//	Runs as      root, or the user of qmail-send
//	Started by   administrators
//	Reads        figures from run/metrics.sock and destinations from
//	             queue/manage.sock: told by ours, and in the end by other hosts; the
//	             log, which holds strangers' words; keys
//	Writes       standard output, /dev/tty; queue/manage.sock
//	May          nothing else
//	Must not     use the network, execute, change anything
//	Trusts       nothing that it reads
//	If captured  the attacker has the rights of whoever looks at it
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-send/top"
)

func main() { os.Exit(top.Main(world.Real())) }
