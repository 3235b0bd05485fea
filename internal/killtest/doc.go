// Package killtest kills the programs of the suite with SIGKILL under load,
// again and again, and holds the ledger (internal/ledger) against what is
// found: nothing lost, nothing repeated but what a kill hit.
//
// Nobody imports it; there is nothing here but tests. They need root.
//
// A run is a sequence of epochs. In each, clients send messages by SMTP, plain,
// with TLS and a login, through a filter's program, or greylisted and by a
// milter, by QMTP and QMQP, and by sendmail and qmail-queue, to Maildirs,
// mboxes, programs, forwards, another host, and recipients whose mail bounces;
// operators hold, release, delete, bounce, readdress and reroute what waits;
// meanwhile processes are killed: one,
// several, all, the parent of all, and in a quarter of the cycles once more
// within 500 ms of their restart. Then the queue runs empty, the suite is
// stopped, and rules L1 to L11 are checked on all that the epoch left. So the
// memory of a run depends on the length of an epoch and not on the number of
// recipients.
//
// Files:
//
//	kill_test.go      the run: epochs, figures
//	host_test.go      the host: users, mailboxes, the next host
//	load_test.go      clients of every host
//	clients_test.go   those of QMTP, QMQP, filters, milters and the greylist
//	messages_test.go  what they send
//	operator_test.go  who changes what waits
//	killer_test.go    who is killed when, and how long until mail is taken again
//	evidence_test.go  what an epoch left
//	soak_test.go      a suite that is never stopped: what grows
//	mutant_test.go    suites with faults, which the ledger must find
package killtest
