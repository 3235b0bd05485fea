// Package tlskey is qmail-tlskey: the one process that has private keys. It
// signs what qmail-smtpd asks for in its TLS handshakes (internal/wire/sign).
//
// Only cmd/qmail-tlskey imports it. qmail-start hands it the key files, which
// are the administrator's; it opens none. Questions come from qmail-smtpd, which
// speaks with the network: they are hostile.
//
// Invariants:
//
//  1. No answer and no log line holds anything of a private key.
//  2. What is signed has the length of a digest (wire/sign).
//  3. A key that does not fit its certificate, or that cannot be read, changes
//     nothing: the keys before it stay. Keys that were replaced sign for a
//     minute more, and are forgotten.
//
// Files: main.go (the daemon), keys.go (from file to key).
package tlskey
