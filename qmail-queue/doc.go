// Package qmailqueue is qmail-queue: the program that others run, as whatever
// user they are, to put a message into the queue. It has no privilege.
//
// Only cmd/qmail-queue imports it. Message, envelope, descriptors, limits,
// signals and environment come from its caller and are hostile, but a caller
// can only harm its own message.
//
// Invariants:
//
//  1. The message is read from descriptor 0 to its end before anything is read
//     from descriptor 1, the envelope.
//  2. Exit code 0 is returned only when the message is durable.
//  3. An envelope that ends too early queues nothing: so callers give up.
//
// Exit codes are those of spec section 1.3; see internal/enqueue.
//
// Files: main.go the program; envelope.go the envelope; text.go the text for
// callers that have a descriptor for it.
package qmailqueue
