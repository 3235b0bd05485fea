// Qmail-tlspost sends reports about TLS to web servers, for qmail-tlsrpt.
//
//	Runs as      qmailt:nofiles, confined
//	Started by   qmail-start, where control/tlsrpt asks for reports
//	Reads        /etc/resolv.conf, certificate authorities below /etc (the
//	             administrator's); questions of qmail-tlsrpt, answers of name
//	             servers and web servers (hostile)
//	Writes       its answers, its log
//	May          ask name servers; by TCP, connect to the ports 53 and 443
//	Must not     open other files, connect to other ports by TCP, listen, execute
//	Trusts       qmail-start; certificate authorities
//	If captured  an attacker reads the reports that are sent to web servers, and
//	             can have them lost; he can speak to web servers and send UDP
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/qmail-remote/tlspost"
)

func main() {
	if err := priv.Enter("qmail-tlspost"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-tlspost: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(tlspost.Main(world.Real()))
}
