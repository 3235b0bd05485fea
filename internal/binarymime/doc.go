// Package binarymime makes lines of a message that came with BODY=BINARYMIME
// (RFC 3030 section 3), for a queue that holds lines.
//
// smtpd imports it. What goes through it is hostile. It is read once, as it
// comes, in any pieces; time is linear, and a Converter is all the memory.
//
// A part whose Content-Transfer-Encoding is binary gets base64 (RFC 2045
// section 6.8). A composite part that says binary gets 8bit, and what is in it
// is looked at: parts of multipart, and the message in message/rfc822 and
// message/global. All else passes as lines do after BODY=8BITMIME: see
// smtpwire.ChunkDecoder. The new field stands at the end of its header.
//
// Where a part ends: at CR LF, a boundary behind two hyphens, and CR LF, for
// one in binary, and at lines however they end for all else: as whoever reads
// the queue will see it. The boundary of an outer multipart ends inner ones.
//
// Invariants:
//
//  1. What comes out does not depend on how the input is split.
//  2. There is no CR in it, and its last line has an end. A NUL in it was in no
//     part that is binary.
//  3. What base64 is made of are the octets of the part, all and no others. All
//     else is what it was, but for line ends and fields that said binary.
//  4. No header of a part that was understood says binary any more.
//  5. What comes out of n octets is at most 2 n + MaxHeld. For a part it is
//     77/57 of it, and a line.
//  6. What can be read in two ways, or not within the limits, is an Err; such
//     a message must not be queued.
//
// Files:
//
//	convert.go     the Converter: lines, and where parts begin and end
//	header.go      the header of a part, and what becomes of it
//	contenttype.go the values of the two fields that count
//	boundary.go    the boundaries of the multiparts that are open
//	binary.go      a part in binary
package binarymime
