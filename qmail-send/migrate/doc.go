// Package migrate is qmail-migrate: it reads what another mail system, or another
// qmail, has been told, and writes what this suite is to be told for the same, into
// a directory that is not in use. With --compare it says about which addresses the
// two do not agree.
//
// Only cmd/qmail-migrate imports it. Whoever calls it has the rights; the files
// that are read may be odd or hostile (internal/migrate).
//
// Invariants:
//
//  1. Nothing is written but below the directory that --to names.
//
//  2. Whatever is not carried over is a line of the report; passwords are not in it.
//
//     main.go     Main: arguments, exit code
//     report.go   what is said, as text or JSON
//     compare.go  --compare
package migrate
