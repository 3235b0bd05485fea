// Package progress writes what has become of a message to its progress file,
// queue/info/NN/ID (internal/queuedir has the format): what passes achieved, and
// what operators changed.
//
// Only qmail-send imports it.
//
// Input: progress files (ours, but torn or damaged by crash and disk: checked) and
// orders of whoever connects (hostile: an order is checked against the message
// here, also whether its owner gives it). Whatever fails is temporary.
//
// Invariants:
//
//  1. What Write returns without an error for is durable, but for reasons that
//     are kept for people.
//  2. After a sync that failed nothing is appended to the same file: it is
//     written anew. An order whose sync failed is taken back, and "later".
//  3. One goroutine at a time works on a message.
//
// Files: recorder.go (appending), read.go (reading), editor.go (orders for messages
// that nobody has in hand), order.go (what an order is), unwritten.go (results until
// they are written), tried.go (why recipients wait, for people).
package progress
