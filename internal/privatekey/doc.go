// Package privatekey reads files with private keys, as OpenSSL and qmail-dkimkey
// write them: blocks of PEM, among them one key, and perhaps certificates.
//
// qmail-tlskey and qmail-dkimkey import it. Files are the administrator's. The
// caller owns the text, and clears it; what is made of it on the way is cleared
// here. All errors are permanent until the file changes.
//
// Invariants:
//
//  1. No error holds a byte of a file.
//  2. A key that one of those programs takes, the other one takes, too.
//
// Files: parse.go (any file), dkim.go (one for DKIM).
package privatekey
