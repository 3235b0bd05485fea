// Package milterwire is the protocol of Sendmail's libmilter, as a mail server
// speaks it to a filter: versions 2 to 6.
//
// Daemons that ask milters import it. What a milter says is hostile here: every
// length, count and time has a limit.
//
// It is spoken here and not by github.com/d--j/go-milter: with an empty packet a
// milter ends the process of that library's client; it reads packets of 512 MB;
// it keeps the body that a milter gives in memory; and it cannot end a message
// without a body.
//
// Invariants:
//
//  1. After an error a connection is of no use; the milter has decided nothing.
//  2. A reply of a milter has a code from 400 to 599 and printable lines.
//  3. Names of header fields that a milter gives are names, and their values
//     cannot begin another field.
//
// Files:
//
//	packet.go   packets, their limits and times
//	conn.go     a connection: negotiation, the steps of a transaction
//	action.go   what a milter decides, and its replies
//	change.go   what it wants changed
package milterwire
