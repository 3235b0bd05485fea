// Package authresults is the header field Authentication-Results (RFC 8601) as a
// server has it that adds one: those that somebody else has made up in its name
// are removed from messages that come in (section 5).
//
// smtpd imports it. What goes through it is hostile. It is read once, as it
// comes, in any pieces; time is linear, and memory does not grow.
//
// Invariants:
//
//  1. What comes out does not depend on how the input is split.
//  2. No field in the header names the server, in whatever letters, quoted or
//     behind comments, as a domain in ASCII or in UTF-8. A field in which the name
//     cannot be found within MaxHeld octets is one.
//  3. All else stays, and in front of no octet that has not come yet.
//
// Files: remover.go, server.go (the name in a field).
package authresults
