// Package dkim signs messages (RFC 6376, and RFC 8463 for Ed25519): canonical
// forms, the field DKIM-Signature, and what a header says of who wrote it.
//
// qmail-remote imports it. A message is hostile. It is read once, as the queue
// has it, and what is signed is what internal/smtpwire makes of it: LF, CR LF and
// a CR alone are line ends. Private keys are somebody else's (crypto.Signer).
//
// Invariants:
//
//  1. Of a message nothing is kept but its header, of at most MaxHeader octets;
//     time is linear in its size.
//  2. A signature covers each field of the names in covered, and for most of them
//     that there is no other one. It has no l=: all of the body counts.
//  3. What a Signer returns is checked before it counts.
//
// The canonical form is relaxed/relaxed. The library that this field has,
// go-msgauth, keeps blank ends of bodies in memory, whatever their length, and
// reads a body once for each key; so this is our own.
//
// Files: read.go (header and body of a message), canonical.go (the relaxed
// forms), origin.go (who wrote it, and whether here), sign.go (the field).
package dkim
