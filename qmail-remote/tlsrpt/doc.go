// Package tlsrpt is qmail-tlsrpt: it counts what qmail-remote finds of the TLS
// of other domains, and sends each that wants it a report once a day (RFC 8460).
//
// Only cmd/qmail-tlsrpt imports it. What it is told is hostile: names come from
// the network; so are records of the DNS, and its files, if the disk was
// damaged. Control files are believed.
//
// Invariants:
//
//  1. Nothing waits for it, and no mail depends on it: what cannot be counted is
//     not, and a crash costs the last minutes.
//  2. Memory and files have bounds: of one day, of one domain, of one policy.
//     What is beyond them is left out of reports, details first.
//  3. A report goes to each place once: what has gone is written down at once,
//     and the queue knows one that is handed in again.
//  4. Only a domain's own record says where its report goes, and that it does.
//
// Files:
//
//	main.go   Main: the control channel, links, when to do what
//	store.go  what was counted of a day, in memory and in a file
//	days.go   the files of days that are over
//	send.go   whom to ask, and what to hand in
//	crew.go   several domains at a time
//	mail.go   the report, and as a message
//	queue.go  messages for qmail-spool
//	post.go   reports for qmail-tlspost, which sends them to web servers
package tlsrpt
