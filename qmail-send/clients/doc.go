// Package clients is who looks at the queue and changes it: it serves
// queue/manage.sock (internal/wire/manage).
//
// Only qmail-send imports it.
//
// Input: questions and orders of whoever connects (hostile: who that is the kernel
// says; sizes, times and numbers are bounded, and what breaks the protocol is
// dropped). What somebody may have is decided here and, for an order, once more
// beside the message (qmail-send/progress). Nothing here changes a message.
//
// Invariants:
//
//  1. Users keep neither operators nor one another out.
//  2. Files are handed over of those messages alone whose entry says that they are
//     the client's, or to operators.
//  3. The loop of the scheduler never waits for a client.
//
// Files: server.go (who may connect), conversation.go (questions and answers).
package clients
