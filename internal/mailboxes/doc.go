// Package mailboxes is how daemons that take mail from the network know whether a
// recipient has a mailbox: they ask qmail-lookup (internal/wire/lookup), and who
// tries names gets slow answers, and few.
//
// smtpd and smtpd/qmtp import it. Recipients are strangers' words.
//
// Invariants:
//
//  1. Without an answer there is no consent, and no refusal for good.
//  2. An answer takes askTime at most.
//  3. Memory is bounded whoever asks for what.
//  4. A recipient who is there is never answered late, and never held against the
//     client.
//
// Files: checker.go (asking, and who tries names), recent.go (recipients who were
// asked about a moment ago).
package mailboxes
