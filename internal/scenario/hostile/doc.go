// Package hostile holds tests in which a user of the host attacks the suite
// with everything an account allows: files in the drop directory, connections
// to the public socket, .qmail files and the programs in them, a Maildir and a
// home that change under a delivery, signals, and the circumstances in which
// programs are called (requirements R24, R37, R40, R63, R70 to R78).
//
// Meanwhile other users send each other mail, and each message has to be in its
// mailbox in time; and at the end no daemon has died, no file of somebody else
// has changed, and nothing of it has become mail.
//
// Nobody imports it; there is nothing here but tests. They need root. The
// attacker is this test binary, installed in her home directory and run as her
// (attacker_test.go).
//
// Files:
//
//	host_test.go      a host with victims and an attacker, and what must hold
//	attacker_test.go  what the attacker can be told to do
//	drop_test.go      the drop directory
//	socket_test.go    the public socket
//	dotqmail_test.go  .qmail files and programs
//	greedy_test.go    programs that take all processes, memory, disk, time
//	mailbox_test.go   a Maildir and a home that change under deliveries
//	signals_test.go   signals, ptrace and /proc across users; daemons that stop
//	torture_test.go   programs called in every bad way
package hostile
