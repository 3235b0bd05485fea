// Package tables is the programs that make and check the tables of the network
// daemons: tcprules and tcprulescheck (spec section 6.5), and qmail-newmrh,
// which turns control/morercpthosts into a database (spec section 7.3).
//
// Only their mains in cmd import it. The lists are the administrator's; what
// could not be obeyed is refused here, by its line, and not when a client comes.
//
// Invariants:
//
//  1. A database is replaced by one rename, durable, or not touched at all.
//
//  2. What is written for a sound line is byte by byte what the programs of
//     qmail and of ucspi-tcp write: tcpserver reads it, too.
//
//     rules.go   tcprules
//     check.go   tcprulescheck
//     newmrh.go  qmail-newmrh
//     examine.go what qmail-showctl asks of its database
package tables
