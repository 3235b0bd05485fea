// Package sevenbit turns a message whose bodies have octets over 127 into one
// that says the same in ASCII, for a server without 8BITMIME (RFC 6152 section
// 3): parts of text become quoted-printable, others base64 (RFC 2045).
//
// qmail-remote imports it. A message is hostile. It is read as the queue has
// it, with LF line ends, once to find out what is to be done and then once for
// each time that it is sent; nothing of it is kept but a header at a time.
//
// Invariants:
//
//  1. What is not to be encoded goes through octet by octet. A message without
//     octets over 127 in its bodies does not change.
//  2. Decoding an encoded part gives its octets, with CR LF as line ends in
//     base64, as RFC 2045 section 6.5 has it.
//  3. No octet below a multipart/signed or multipart/encrypted changes: where
//     one would have to, the message is refused.
//  4. Header fields other than Content-Transfer-Encoding do not change, not
//     either if they hold octets over 127: what those mean is not known.
//     A message without MIME fields gets some.
//  5. Time is linear in the size of a message times maxDepth; memory is bounded.
//
// Files:
//
//	reader.go   the message as it goes out
//	plan.go     what is to become of each part
//	parser.go   where headers, parts and their borders are
//	header.go   what a header says of its body, and the header of an encoded one
//	encode.go   quoted-printable and base64
package sevenbit
