// qmail-filter runs the programs that QMAILQUEUE in control/tcp.smtp names, and
// asks the milters in control/milters, for qmail-smtpd.
//
// Runs as: qmailf, group nofiles.
//
// Started by: qmail-start, if control/tcp.smtp names such a program,
// control/milters a milter, or control/concurrencyfilter exists.
//
// Reads: messages, envelopes and what is known of clients from qmail-smtpd
// (hostile); control/tcp.smtp, milters, concurrencyfilter and timeoutfilter
// (ours); what the programs and milters say (hostile: mail may have broken them).
//
// Writes: files without a name in filter/; its log.
//
// May: execute the programs that control/tcp.smtp names, and kill their process
// groups; connect to the milters. Programs may do what the user qmailf may: the network, and the public
// socket of the queue.
//
// Must not: execute anything else, or connect elsewhere; take more of qmail-smtpd's word than the
// variables of internal/wire/filter.
//
// Trusts: qmail-start for its link and environment; the administrator's rules,
// programs and milters.
//
// If captured: the attacker sees and changes the mail that passes a filter or
// milters from then on, gives it other recipients, runs any program as qmailf, uses the network, and submits messages
// as any user of the host can. He has no file of the queue, of a user or of
// another daemon.
package main

import (
	"fmt"
	"os"

	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/world"
	"postrider/smtpd/filter"
)

func main() {
	if err := priv.Enter("qmail-filter"); err != nil {
		fmt.Fprintf(os.Stderr, "qmail-filter: fatal: %v\n", err)
		os.Exit(111)
	}
	footprint.OneProcessor()
	os.Exit(filter.Main(world.Real()))
}
