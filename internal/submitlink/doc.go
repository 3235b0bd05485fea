// Package submitlink is how a daemon that serves clients hands messages in to
// qmail-spool: over connections that it makes by the link which qmail-start gave
// it, and over those of the next link when the spool was replaced or restarted.
//
// qmail-smtpd and qmail-qmtpd import it. What the spool answers is believed. Errors
// are temporary, and fit to be told to a client.
//
// Invariants:
//
//  1. Only a spool that ended is waited for, and no longer than Wait: after other
//     trouble, be it ours or that of a spool that is there, no new one comes.
//
//  2. A message whose answer was lost is handed in again, but not for ever: it may
//     be why the spool ends. Who does so names it by a nonce, so that it is one.
//
//  3. How many wait for their commit, and how many have a connection while they
//     arrive, has bounds, and one client has an eighth of those at most.
//
// Files:
//
//	link.go        the link, and connections over it
//	connection.go  one connection
//	again.go       the same message over the next link
//	places.go      who may have a connection
package submitlink
