// Package bench measures the suite: how many messages a second it accepts and
// delivers, and what starting its programs costs. Every number is taken in one
// run with its yardstick, Postfix from Debian or an empty Go program, in turns,
// since machines drift. "make bench" runs it.
//
// Nobody imports it; there is nothing here but tests. Both mail systems run on
// test hosts (internal/testhost) of their own, on journaled ext4 images. The
// load generator is Postfix's smtp-source. Both make a message durable before
// they accept it.
//
// Without the flag -bench-run nothing is measured; one small run shows that the
// tools still work.
//
// Files:
//
//	bench_test.go    what is measured, in which order, and the table
//	peer_test.go     a mail system under load: clean, start, stop
//	postrider_test.go, postfix_test.go  the two
//	startup_test.go  what it costs to start a program
package bench
