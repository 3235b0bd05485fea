// qmail-tlskey has the private keys of TLS and signs with them.
//
// Runs as:    qmailk, group nofiles.
// Started by: qmail-start, which restarts it, if there is a
// control/servercert.pem; a second time if there is a control/clientcert.pem; and
// a third time if control/dkimsign names keys; each with its own keys.
// Reads:      the key files that qmail-start hands it as descriptors (the
// administrator's); questions of qmail-smtpd or qmail-remote (hostile).
// Writes:     its answers, the log.
// May:        sign digests.
// Must not:   open files, use the network, run programs; say anything of a key.
// Trusts:     qmail-start's control channel.
// If captured: the attacker has the private keys, can pose as this host in TLS
// until the certificates are revoked, and can read what was recorded of TLS 1.2
// sessions without forward secrecy, of which there are none; with those of DKIM he
// can sign mail in the name of their domains until the records in the DNS are
// gone. He sees no mail.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/tlskey"
)

func main() {
	if err := priv.Enter("qmail-tlskey"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-tlskey: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(tlskey.Main(world.Real()))
}
