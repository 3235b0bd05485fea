// Package auth is qmail-auth: the one process that reads users/smtppasswd, the
// passwords of clients that log in to SMTP. It answers whether a password, or a
// proof of one, is right (internal/wire/auth).
//
// Only cmd/qmail-auth and cmd/qmail-authpw import it. The file is the administrator's, but may be
// damaged; questions come from qmail-smtpd, which speaks with the network: they
// are hostile.
//
// Invariants:
//
//  1. No answer and no log line holds anything of a password or of a hash.
//  2. What a question costs is bounded: hashes that would take more memory or
//     time than the limits in hashes.go are not computed, and few at a time are.
//  3. A name that is not in the file costs what one of those costs that are, and
//     has a salt like them, which stays as theirs do when the file changes and
//     when qmail-auth is started again.
//  4. A file that cannot be read, or that others may read, means that nobody
//     knows: the answer is temporary. A line that is not understood means so for
//     its user.
//
// Files: main.go (the daemon), passwords.go (the file and questions about it),
// line.go (its lines), decoys.go (names that are not there), hashes.go (kinds of hashes), crypt.go (those of crypt(3)),
// setpassword.go (qmail-authpw, which changes the file), make.go (new hashes).
package auth
