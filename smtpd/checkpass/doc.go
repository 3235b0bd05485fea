// Package checkpass is qmail-checkpass: it has the passwords of clients that log
// in to SMTP checked by the checkpassword program in control/checkpassword, one
// process an attempt, and answers in the protocol of internal/wire/auth.
//
// Only cmd/qmail-checkpass imports it. The control file and the program are the
// administrator's; questions come from qmail-smtpd, which speaks with the
// network: they are hostile.
//
// Invariants:
//
//  1. What a client says reaches the program on descriptor 3 only.
//  2. Few programs run at a time, and none for long (internal/checkpassword).
//  3. A program that cannot be run, that crashes, or that says so cannot tell:
//     the answer is temporary.
//
// Files: main.go.
package checkpass
