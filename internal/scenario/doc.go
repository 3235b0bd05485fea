// Package scenario holds tests of the whole suite as it is installed: on test
// hosts (internal/testhost) with real users, ports and a network, spoken to by
// the programs that people use. Each file is a part of what the suite promises.
//
// Nobody imports it; there is nothing here but tests. As root nothing is
// skipped; the Debian packages they need are those that .ci/run installs.
//
// Files:
//
//	host_test.go       hosts with the suite, and how to put mail in
//	inject_test.go     sendmail, swaks, msmtp and mutt put mail in
//	network_test.go    mail between hosts: MX, A, retries, bounces
//	down_test.go       mail while daemons are stopped
//	privilege_test.go  who runs as whom, with which descriptors and files
//	modes_test.go      who can read messages
//	matrix_*.go        what processes that were taken over cannot do
//	operations_*.go    what they try
//	crossing_*.go      what no user can do to another
//	setuid_test.go     programs that gain rights
//	hidepid_test.go    a /proc that shows nobody the processes of others
//	signal_test.go     HUP, ALRM, TERM
//	deliveries_test.go the cases of testdata/deliveries, by hand and through the suite;
//	                   deliverycase_test.go reads them, deliveryjudge_test.go judges
//	dotqmail_test.go   forwards, programs, mboxes, aliases, nobody
//	vpopmail_test.go   domains of vpopmail, with and without its program
//	sieve_test.go      scripts of users, run by Dovecot
//	imap_test.go       Dovecot reads Maildirs while mail comes
//	mboxreaders_test.go mutt and Python read an mbox while mail comes
//	recipients_test.go who is refused at RCPT, and what deliveries do
//	dnspolicy_test.go  lists in the DNS, SPF, names of clients, the greylist
//	classic_test.go    qmail-smtpd under tcpserver
//	inherited_test.go  sockets that systemd opened
//	qmtp_test.go       QMTP and QMQP
//	badpeers_test.go   servers that are slow, die, lie and loop, and broken TLS
//	receivers_test.go  Postfix, Exim and OpenSMTPD receive
//	tls_test.go        TLS with many clients, new keys, without separation
//	dkim_test.go       mail that goes out signed, and mail that waits for its key
//	auth_test.go       clients log in
//	tlskey_test.go     in whose memory the private key is
//	peers_test.go      Postfix and Exim send by TLS
//	behind_test.go     clients behind a proxy, and XCLIENT
//	callers_test.go    programs of Debian that call sendmail
//	tcpenv_test.go     tcp-env
//	fullqueue_test.go  a disk that is nearly full
//	operationspage_test.go the commands of docs/operations.md
//	queuectl_test.go   the queue is managed, and one of qmail is imported
//	migrate_test.go    sites of qmail, Postfix and Sendmail move
//	requiretls_test.go mail that wants TLS all the way
//	tlsrpt_test.go     reports about TLS
//	tcpto_test.go      hosts to which connections time out, and the tools for that
//	rspawn_test.go     a program in place of qmail-remote
//	filter_test.go     programs that QMAILQUEUE names
//	milter_test.go     a milter on libmilter
//	drop_test.go       attacks on the drop directory
//	sync_test.go       submissions that share a sync
//	evidence_test.go   what a host shows to the ledger
//	siege_test.go      attacks from the network, and names that lie
//	amplification_test.go  loops, and failures by the hundred
package scenario
