// Package lookup is qmail-lookup: it tells qmail-smtpd whether an envelope
// recipient has a mailbox, so that mail for nobody is refused at the door and
// not bounced to whoever is named as its sender.
//
// Only cmd/qmail-lookup imports it. Questions are hostile: a client chose the
// address. Control files, users/cdb and passwd are the administrator's;
// what lies in a home directory is its user's, so hostile, and may be on a
// server that does not answer.
//
// Invariants:
//
//  1. "There is none" is said only of what a delivery would find failing for
//     good, by the code that the delivery has: internal/route,
//     internal/accounts, internal/dotqmail. What this process may not look at
//     exists. What a delivery would put off is not known, or exists.
//  2. Trouble is never an answer: it is "not known now", and qmail-smtpd then
//     takes no mail for that recipient.
//  3. No home directory holds up others: each look at one ends after homeTime,
//     and where several did not come back, nobody waits for more.
//  4. Nothing is written, and nothing but regular files is opened.
//
// It does not run programs, so it says of an address that exists by a .qmail
// file with a program (vdelivermail, bouncesaying) that it exists, and accounts
// are those of passwd, users/cdb and, where nsswitch.conf has more, qmail-nss.
//
//	main.go    Main: the control channel, links
//	find.go    from an address to an answer
//	routes.go  the control files, read again when they change
//	home.go    instructions and quota in a home directory
//	explain.go whether there is a mailbox, for qmail-explain
//	vpopmail.go  users of a domain that vpopmail keeps
//	vlookup.go   qmail-vlookup, and what is asked of it
//	nss.go     accounts that /etc/passwd does not have
package lookup
