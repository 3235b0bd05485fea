// qmail-remote takes mail to other hosts by SMTP, LMTP or QMTP.
//
// Runs as: qmailr, group nofiles; in the classic form, whoever calls it.
//
// Started by: qmail-start, as a worker; or "qmail-remote host sender
// recipient..." by a wrapper or by hand; or "qmail-remote --explain recipient
// [sender]" by hand.
//
// Reads: jobs and message descriptors from qmail-send (ours); control/me,
// helohost, outgoingip, timeoutconnect, timeoutremote, remotetimeouts, mtasts,
// tlspolicy, tlsremember, files with routes, and /etc/resolv.conf, certificate
// authorities below /etc (ours); control/remoteauth and access tokens in control
// (secrets of ours); answers of qmail-mtasts, qmail-tlsseen and qmail-tlskey;
// DNS answers, SMTP replies and certificates (hostile). In the classic form its
// operands and the message on descriptor 0 (the caller's).
//
// Writes: SMTP, TLS and DNS to the network, questions to those three, results
// to qmail-send or reports to descriptor 1, warnings to the log. No file.
//
// May: open connections to any address.
//
// Must not: execute anything, open a file for writing, see a message that was
// not handed to it.
//
// Trusts: qmail-send for what goes where; the administrator's files; the
// configured name servers; about what they have verified (DNSSEC), if they are
// on this machine or resolv.conf says so.
//
// If captured: the attacker reads the mail this worker is given from then on,
// can send mail out and report deliveries that never happened. He has the
// passwords for relays, and what control lets everybody read. He changes no
// file and reaches no other process and no message that goes elsewhere.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	qmailremote "postrider/qmail-remote"
)

func main() {
	if err := priv.Enter("qmail-remote"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-remote: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.HalfTheProcessors()
	os.Exit(qmailremote.Main(world.Real()))
}
