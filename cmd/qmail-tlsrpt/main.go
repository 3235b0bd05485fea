// Qmail-tlsrpt counts what qmail-remote finds of the TLS of other domains, and
// mails them reports of it.
//
//	Runs as      qmailt:nofiles, confined
//	Started by   qmail-start, where control/tlsrpt asks for it
//	Reads        /etc/resolv.conf, tlsrpt and me in control (the
//	             administrator's); findings of qmail-remote, answers of name servers
//	             (hostile); tlsrpt, its own
//	Writes       tlsrpt; messages for qmail-spool, its log
//	May          ask name servers; by TCP, connect to port 53
//	Must not     open other files, connect to other ports by TCP, listen, execute
//	Trusts       qmail-start
//	If captured  an attacker learns to which domains mail goes; he can send mail
//	             to anybody as any sender, and UDP
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-remote/tlsrpt"
)

func main() {
	if err := priv.Enter("qmail-tlsrpt"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-tlsrpt: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(tlsrpt.Main(world.Real()))
}
