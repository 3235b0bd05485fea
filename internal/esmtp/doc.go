// Package esmtp is what an SMTP client says of a message and of its recipients
// besides their addresses: that it needs SMTPUTF8 (RFC 6531), that it goes by
// verified TLS or not at all (REQUIRETLS, RFC 8689), and which reports of its
// delivery are wanted (DSN, RFC 3461).
//
// Everybody who hands an envelope on may import it; it imports nothing of ours.
// Input is hostile, and readers of the queue and of the protocols between our
// processes check it again.
//
// Invariants:
//
//  1. A value that a Parse function returned, or the zero value, can be written
//     into an SMTP command as it is: it holds no blank and no control character.
//  2. What was parsed is handed on unchanged, but for the case of keywords.
//
// Files:
//
//	facts.go  the facts of a message and of a recipient, as records
//	origin.go where a message came in
//	notify.go which reports a recipient's sender wants
//	xtext.go  xtext (RFC 3461 section 4), and its form for UTF-8 (RFC 6533)
package esmtp
