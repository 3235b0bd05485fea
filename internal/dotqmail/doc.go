// Package dotqmail is the format of .qmail files: how they are named for an
// address (spec section 4.2), and what their lines say (section 4.3).
//
// Any package may import it. The extension comes from the address and is
// hostile; a file's text is its user's, so hostile to everybody else. Nothing
// here opens a file or fails: what a line may not say is an instruction of
// kind Refusal, which ends the delivery when it is reached, not before.
//
// Invariants:
//
//  1. No part of a name that comes from the extension is ".", "..", or an
//     upper-case letter.
//
//  2. Instructions come in the order of the lines; nothing follows a Refusal.
//
//  3. No instruction's text holds a line end or a zero byte.
//
//     names.go         Candidates, OwnerNames
//     instructions.go  Instructions
package dotqmail
