// Package tcprules reads tcprules' rules about connections (spec section
// 6.5): who may connect, and which variables a connection from there gets.
//
// smtpd and other network daemons import it. The rules are the
// administrator's and believed, but a file may be damaged or half written;
// the address that is looked up is a stranger's.
//
// Invariants:
//
//  1. A text with a line that is not understood gives no rules at all, only an
//     error with the line's number: half a list could let somebody in.
//  2. Rules do not merge: the first one found, in the order of Match, decides.
//  3. Of two rules for the same address the first counts, as in a cdb.
//  4. No match means: allowed, no variables.
//
// Every error is temporary: it says nothing about the connection.
//
// Files:
//
//	parse.go  the text form, as the tcprules program takes it
//	records.go  what a line becomes in a database
//	match.go  the search order, on parsed text or on a tcp.smtp.cdb
//	load.go   those of a home directory, text or database
package tcprules
