// Package bench measures the suite beside Postfix, OpenSMTPD, Exim and
// chasquid from Debian: what they accept, deliver and relay, what that costs,
// and what starting the suite's programs costs. All is measured in one run, in
// turns, since machines drift. "make bench" runs it; docs/performance.md says
// what the workloads are and carries the results.
//
// Nobody imports it; there is nothing here but tests. All mail systems live on
// one test host (internal/testhost), with queues and mailboxes on one journaled
// ext4. What runs beside them there is this binary too (internal/bench/load).
//
// Without the flag -bench-run nothing is measured; one small run, with the
// suite alone, shows that the tools still work.
//
// Invariants:
//
//  1. Only processes that the benchmark started are ended: those of its host,
//     found by its control group or by their own handles.
//  2. Nothing is sent to another machine: the host's network has no way out.
//  3. Every wait has a limit.
//  4. Only a full run without a failure of the suite changes the documents.
//
// Files:
//
//	plan_test.go       how much is measured, and the limits of waiting
//	rows_test.go       what the table has, and what the suite shall reach
//	bench_test.go      rounds and turns
//	workloads_test.go  W1 to W9; fanout_test.go is W9, backlog_test.go W6,
//	                   bigqueue_test.go the same with very many messages,
//	                   bulkorders_test.go what qmail-queuectl takes with them
//	cost_test.go       processor time
//	sink_test.go       the next host
//	syncs_test.go      sync calls of the suite
//	yard_test.go       the host that all take turns on, and the load in it
//	mailboxes_test.go  the mailboxes that all deliver into
//	tree_test.go       Debian trees, installed once
//	peer_test.go       a mail system: start, stop, wipe
//	postrider_test.go, postfix_test.go, opensmtpd_test.go, exim_test.go,
//	chasquid_test.go   each one's configuration
//	publish_test.go    the results, printed and put into the documents
//	curves_test.go     how cost grows; preload_test.go makes a queue that waits
//	startup_test.go    what it costs to start a program
package bench
