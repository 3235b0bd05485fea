// Package smtpwire turns messages into the octets of an SMTP connection and
// back: line ends, dots and the end mark, and a server's replies.
//
// smtpd and qmail-remote import it. Everything that arrives is hostile. In
// the queue a message has LF line ends; on the wire every line ends with
// CR LF, and only CR LF . CR LF ends the data (RFC 5321 section 4.1.1.4).
//
// Invariants:
//
//  1. A Decoder ends only at CR LF . CR LF, or at . CR LF as the very first
//     line, wherever its input is split; no other sequence ends the data, and
//     the octets behind the end mark are never consumed.
//  2. A CR or LF that stands alone is reported as a Flaw; it starts no line,
//     so a dot behind it is neither removed nor part of an end mark. A message
//     with a flaw must not be queued.
//  3. What a Decoder appends is never longer than what it consumed plus the
//     three octets it may have held back.
//  4. Neither side has a limit on the length of a line or needs memory for it.
//
// Files:
//
//	chunk.go    from the wire into the queue: the server's side of BDAT
//	decoder.go  from the wire into the queue: the server's side of DATA
//	encoder.go  from the queue onto the wire: the client's side of DATA
//	reply.go    a server's replies as a client reads them
package smtpwire
