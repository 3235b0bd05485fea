// Qmail-showctl prints what every setting is and where that comes from, and says
// what is wrong with the installation: in which file and line, and how to mend it.
//
//	Runs as      root; anybody else hears what could not be looked at
//	Started by   administrators, monitoring
//	Reads        control/, users/, tables of aliases, certificates and keys, owners
//	             and modes below Q, /proc: ours, and perhaps damaged; the answers of
//	             name servers, hostile, in a process of its own that runs as qmailn
//	Writes       standard output
//	May          start itself as that user
//	Must not     change anything; print passwords, tokens or keys; take a lock
//	Trusts       the readers of all programs, whose code it has; what qmail-send says
//	             of the queue
//	If captured  by a name server: the attacker has a process of qmailn without
//	             files, for seconds, and can have names of hosts called wrong. By who
//	             writes control files: that is root
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/qmail-local/users"
	"postrider/qmail-queue/inject"
	"postrider/qmail-queue/spool"
	"postrider/qmail-remote"
	"postrider/qmail-send"
	"postrider/qmail-send/showctl"
	"postrider/qmail-send/start"
	"postrider/smtpd"
	"postrider/smtpd/filter"
	"postrider/smtpd/qmtp"
	"postrider/smtpd/tables"
	"postrider/smtpd/tlskey"
)

func main() {
	os.Exit(showctl.Main(world.Real(), showctl.Parts{
		Programs: []showctl.Program{
			{Name: "qmail-start", Examine: start.Examine, Otherwise: "it does not start; once started, it goes on with what it has read"},
			{Name: "qmail-spool", Examine: spool.Examine, Otherwise: "it does not start: mail is refused for now, and programs leave theirs in queue/drop"},
			{Name: "qmail-send", Examine: qmailsend.Examine, Otherwise: "it does not start: mail waits in the queue"},
			{Name: "qmail-smtpd", Examine: smtpd.Examine, Otherwise: "clients are told to try again later"},
			{Name: "qmail-qmtpd", Examine: qmtp.ExamineQMTP, Wanted: "qmtplisten", Otherwise: "clients are told to try again later"},
			{Name: "qmail-qmqpd", Examine: qmtp.ExamineQMQP, Wanted: "qmqplisten", Otherwise: "clients are told to try again later"},
			{Name: "qmail-filter", Examine: filter.Examine, Wanted: "milters", Otherwise: "mail that passes filters is refused for now"},
			{Name: "qmail-remote", Examine: qmailremote.Examine, Otherwise: "mail to other hosts waits"},
			{Name: "qmail-inject, sendmail", Examine: inject.Examine, Otherwise: "programs of this host cannot hand in mail (exit code 111)"},
		},
		Readers:       showctl.Join(smtpd.Readers(), filter.Readers(), qmailsend.Readers(), start.Readers(), qmailremote.Readers()),
		Assign:        users.Compare,
		MoreRcptHosts: tables.CompareMRH,
		Certificates:  tlskey.Examine,
		DKIMKey:       tlskey.ExamineDKIM,
		Room:          spool.Room,
		Listens:       start.Listens,
		RelayHost:     qmailremote.RelayHost,
	}))
}
