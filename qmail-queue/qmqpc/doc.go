// Package qmqpc is qmail-qmqpc: it stands in for qmail-queue on a host without
// a queue, and hands the message to another host by QMQP (spec section 8.3).
//
// Only cmd/qmail-qmqpc imports it. It has no privilege: message, envelope and
// environment come from its caller, who can only harm its own message. The
// servers are those that the administrator names; what they answer is hostile,
// but believed in that the message is queued, or is not.
//
// Invariants:
//
//  1. The message is read to its end before the envelope is, and both before
//     anything is sent: an envelope that ends too early sends nothing.
//  2. Exit code 0 is returned only after a server has answered K.
//  3. Once a server was reached no other one is tried: it may have the message.
//
// Exit codes are those of spec section 1.3; codes.go has them.
//
// Files: main.go the program; request.go the request, from descriptors 0 and 1;
// servers.go control/qmqpservers; send.go one server; socket_linux.go its
// socket; codes.go exit codes.
package qmqpc
