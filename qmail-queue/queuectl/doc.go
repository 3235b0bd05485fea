// Package queuectl is qmail-queuectl: it shows the messages in the queue and
// changes them while the suite runs, and moves them from and to other queues.
//
// Only cmd/qmail-queuectl imports it.
//
// Input: arguments, which are the caller's own; the queue's files, or those that
// qmail-send hands over, which may be torn, damaged or just being removed;
// addresses, reasons and headers in them are hostile, and so are archives and
// queues to import.
//
// Invariants:
//
//  1. Nothing in the queue is changed but by qmail-send, which decides who may
//     (internal/wire/manage); import adds entries, and check --repair puts the
//     files of a suite that is stopped right (internal/queuecheck).
//  2. No byte of a message reaches the terminal as a control character, but
//     with --body.
//  3. Memory is bounded by the number of messages: some 50 bytes each.
//
// Files:
//
//	main.go     commands and options
//	choose.go   which messages are meant
//	source.go   where messages are read from
//	message.go  what is known of a message
//	list.go     list and show
//	change.go   orders
//	import.go   messages of other queues
//	archive.go  export, and what it has written
//	classic.go  queues of qmail
//	convert.go  their messages
//	check.go    whether the queue is sound
//	place.go    putting messages into the queue, each once
package queuectl
