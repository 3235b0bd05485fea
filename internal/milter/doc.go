// Package milter passes one SMTP transaction by the milters of the
// administrator, one after another: each sees the message as those before it
// have left it.
//
// Who may import it: daemons that have messages filtered. What a milter says is
// hostile (internal/milterwire), and so are the messages; the lines that name
// milters are the administrator's.
//
// Invariants:
//
//  1. A milter that cannot be asked, or that breaks the protocol, has changed
//     nothing: what then happens is what its line says, by default a refusal
//     for now.
//  2. The first field of a message is our Received line: milters do not see it,
//     and nothing comes before it.
//  3. What no milter changes stays as it is, octet by octet. A body that was
//     replaced holds lines that end in LF, and a header does.
//  4. Header, fields, changes and the new body have limits; over one of them
//     the message is refused.
//
// Files:
//
//	line.go         a line that names a milter
//	transaction.go  the milters of a transaction: the envelope
//	end.go          the end of a message: the milters read it and decide
//	message.go      the message: its fields, its body, changes to them
//	body.go         line ends of bodies
package milter
