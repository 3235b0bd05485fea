// Package lmtp hands messages to a delivery server on this machine or near it,
// Dovecot's or Cyrus's, by LMTP (RFC 2033).
//
// qmail-local imports it. The target is the administrator's or the user's;
// sender, recipient and message are hostile to the server, which quotes of SMTP
// keep apart; what the server says is believed about the mail, and bounded.
//
// Invariants:
//
//  1. A delivery is done only if the server has said so, with a reply of 2yz
//     after the message. It failed for good only if the server said so, with 5yz
//     to MAIL, RCPT, DATA or the message. Everything else is temporary: no
//     connection, a greeting or LHLO that is refused, a reply that does not come.
//
//  2. Each step has a time limit.
//
//  3. A connection is used again only if the last transaction on it ended
//     cleanly, and one that turns out to have ended before anything was sent
//     on it is replaced once.
//
//  4. No address can end its command: it has no line end (internal/address).
//
//     target.go   where the server is
//     dial.go     connections, without package net: most programs have no use for it
//     client.go   one connection: greeting, LHLO, transactions
//     results.go  what a reply means for the mail
//     pool.go     Pool: connections that are kept for a moment
package lmtp
