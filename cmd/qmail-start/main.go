// qmail-start is the parent of all daemons.
//
// Usage: qmail-start [defaultdelivery [logger args...]]
//
// Runs as:     root, or the owner of the qmail home directory if that is not root
// Started by:  the administrator's init system
// Reads:       its arguments and environment, sockets that systemd opened,
// control/smtplisten, control/remoteworkers, control/srssecret and others,
// /etc/passwd, /etc/group, /etc/nsswitch.conf: all ours
// Writes:      its log lines; the socket queue/submit.sock, as qmailq
// May:         listen on TCP ports, start programs as other users, signal them
// Must not:    read from the network, from users, from the queue or from the daemons
// Trusts:      the administrator
// If captured: the machine is lost; that is why nothing reaches it but signals
// and the exit of its children
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-send/start"
)

func main() {
	if err := priv.Enter("qmail-start"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-start: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(start.Main(world.Real()))
}
