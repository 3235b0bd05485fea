//go:build linux && amd64

// Package failing holds tests of the suite on a machine that fails: every
// system call on the way of a message in turn, and disks, memory, processes and
// descriptors that run out.
//
// Nobody imports it; there is nothing here but tests. As root nothing is
// skipped.
//
// What every test here demands (requirements R5 to R12, R61, R62): a message
// is acknowledged and then delivered once what failed works again, or it gets a
// temporary answer and is nowhere. Nothing bounces, nothing has to be repaired
// by hand or started again.
//
// Files:
//
//	main_test.go      the test binary as supervisor, too
//	rig_test.go       a host whose suite runs under internal/faultcall
//	evidence_test.go  what the host shows to the ledger
//	sweep_test.go     the Nth call, N = 1, 2, 3 ...
//	submit_test.go     messages handed in by SMTP, sendmail, qmail-queue
//	accept_test.go     acceptance by SMTP: qmail-spool, qmail-smtpd
//	plain_test.go      the same with fsync, without io_submit
//	login_test.go      TLS, passwords, recipients: the daemons that qmail-smtpd asks
//	services_test.go   QMTP and QMQP
//	filter_test.go     milters, and programs that QMAILQUEUE names
//	policy_test.go     SPF, and the greylist with its file
//	caller_test.go     sendmail, qmail-queue, and the drop directory
//	orders_test.go     orders of an operator about many messages
//	tlspolicy_test.go  TLS that domains ask for: the daemons that know, and report
//	deliver_test.go    Maildir, mbox, bounces, the next host
//	kills_test.go      kills before and after every call of every program
//	machine_test.go    full disks, no inodes, no descriptors, no processes, no memory
//	mutant_test.go     programs with a fault that the sweeps must find
package failing
