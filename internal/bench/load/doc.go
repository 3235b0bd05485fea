// Package load is what runs on the benchmark's host beside the mail system: the
// generator, the sink, what waits for mail to arrive, and what measures the
// machine itself. It is a process of its own, so that its memory and time are
// not the mail system's, and it needs no more than the standard library.
//
// The benchmark starts its own binary with Arg, writes one Order to its
// standard input and reads Answers from its standard output. Closing the input
// ends an order that has no end of its own.
//
// Trust: order, mail system and host are the benchmark's own. It sends to the
// server it is told, which is on the same host.
//
// Files:
//
//	order.go     Order, Answer, Main
//	smtp.go      a client, one command a time, as Postfix's smtp-source
//	send.go      many messages over many sessions
//	sink.go      a next host that accepts everything and counts
//	mute.go      a host that takes connections and says nothing
//	arrival.go   waits for files in a Maildir
//	latency.go   from the connection to the mailbox, one message after another
//	hold.go      sessions that do nothing
//	sendmail.go  calls of sendmail
//	limits.go    what the machine could do
package load
