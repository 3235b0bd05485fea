// Package header reads and writes the fields at the top of a message: where a
// field begins and ends, what it is called, and which addresses a field such as
// To holds.
//
// Who may import it: programs that inject messages, and network daemons. It
// imports only the ground.
//
// Input is hostile: a message is whatever somebody wrote.
//
// Invariants:
//
//  1. Everything is linear: each byte of a field is looked at a bounded number
//     of times, whatever it is (R43). A Parser keeps positions and
//     no tokens, and no item is longer than maxItem, so memory does not grow
//     with the field.
//  2. A field is understood wholly or refused: a Parser that ends without an
//     error has returned every address, and the name of a group never swallows
//     one (R48). What stands before "<" is a name, even "joe@x <joe@x>".
//  3. An Addr has no control byte, and its domain none that an envelope or an
//     SMTP command could misread (R36).
//  4. What a Printer writes reads again as the same items.
//
// Every refusal is permanent: the same field will be refused tomorrow.
//
// The grammar is RFC 5322 section 3.4 with its obsolete forms, and qmail's
// leniencies (spec section 7.1): a missing comma is supplied, a semicolon
// outside a group is a comma, bytes over 127 are letters.
//
// Files:
//
//	field.go   lines and names of fields
//	token.go   words, quoted strings, comments and the marks between them
//	addr.go    one address out of its tokens
//	plain.go   the address that nearly every address is, read fast
//	list.go    a list of addresses, groups and comments
//	print.go   a list written out, folded
//	hops.go    counting Received and Delivered-To lines
//	received.go the Received line of who takes mail from the network
package header
