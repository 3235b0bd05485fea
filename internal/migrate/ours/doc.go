// Package ours says what this suite does with mail for an address, by a
// configuration that is not yet in its place.
//
// Only qmail-migrate imports it. Where mail goes is decided by the code that
// decides it in service: internal/route, rcpthosts, accounts, aliases, dotqmail
// and vpopmail. What is here is only how one leads to the next, as
// qmail-lspawn, qmail-local and qmail-remote have it, without a delivery.
//
// What would be found in the home directory is looked for in the directory that
// was written; everything else in the tree that the old configuration is in.
//
//	judge.go   Judge: an address, step by step
//	home.go    instructions in a home directory
//	relay.go   the host that is asked for a domain
package ours
