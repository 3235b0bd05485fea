// Package tlskey is qmail-tlskey: the one process that has the private keys of
// qmail-smtpd, or, as a second one, that of qmail-remote. It signs what those
// ask for in their TLS handshakes (internal/wire/sign). A third one has the keys
// of DKIM, and signs the digests of messages that qmail-remote sends.
//
// Only cmd/qmail-tlskey imports it. qmail-start hands it the key files, which
// are the administrator's; it opens none. Questions come from qmail-smtpd or
// qmail-remote, which speak with the network: they are hostile.
//
// Invariants:
//
//  1. No answer and no log line holds anything of a private key.
//  2. What is signed has the length of a digest (wire/sign).
//  3. A key that does not fit its certificate, or that cannot be read, changes
//     nothing: the keys before it stay. Of the keys of DKIM each stands for
//     itself. Keys that were replaced sign for a minute more, and are forgotten.
//
// Files: main.go (the daemon), keys.go (the keys of a file), dkim.go (those
// of DKIM),
// examine.go (what qmail-showctl asks of a file). What a file may hold says internal/privatekey.
package tlskey
