// Package users is qmail-newu: it turns users/assign into users/cdb, which
// qmail-lspawn reads (spec section 3.5).
//
// With it are qmail-pw2u, which makes users/assign of passwd, and qmail-getpw,
// which says who a local part is without either.
//
// Only their mains in cmd import it. users/assign is the administrator's; a line
// that could not be obeyed is refused here, by number, and not when mail comes.
//
// Invariants:
//
//  1. users/cdb is replaced by one rename, durable, or not touched at all.
//
//  2. What is written for a sound line is byte by byte what qmail writes, since
//     other programs read the database as well. Two additions of ours: a
//     prefix that ends in an upper-case letter works, and numbers are checked.
//
//     main.go    Main: files, messages, exit code
//     pw2u.go    qmail-pw2u
//     getpw.go   qmail-getpw
//     examine.go users/assign against users/cdb, for qmail-showctl
package users
