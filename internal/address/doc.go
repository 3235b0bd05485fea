// Package address is the mail address as the queue knows it: a byte string
// that is safe to write into an envelope, a log line or an SMTP command.
//
// Who may import it: everybody. It imports nothing of ours.
//
// Input is hostile: addresses come from networks, headers and command lines,
// and readers of the queue construct them again.
//
// Invariants:
//
//  1. An Address holds no CR, LF or NUL, has at most MaxLen bytes and, if it
//     has an "@", a non-empty domain behind the last one. New is the only way
//     to make one, apart from the zero value, which is the null address.
//  2. The bytes are otherwise opaque: nothing is lower-cased, decoded or
//     trimmed.
//  3. Quote never changes the domain, and a quoted local part read back by the
//     rules of RFC 5321 section 4.1.2 is the original one.
//
// Every refusal is permanent: the same bytes will be refused tomorrow.
//
// Files:
//
//	address.go  the type and its constructor
//	quote.go    the form shown in headers and SMTP commands
package address
