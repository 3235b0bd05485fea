// Package control reads qmail's control files: one line, a number, a list or a
// map in a file under Q/control.
//
// Any program may import it; it links no more than os and syscall, because
// programs that users start read control files too.
//
// Trust: the directory belongs to the administrator and is believed, but a
// file may be damaged, half written or of the wrong kind.
//
// Invariants:
//
//  1. A file that is missing gives the default. A file that is there but
//     cannot be read, is no file, is too long or holds a NUL byte is an error
//     and never the default, so that a reader fails closed.
//  2. A missing control directory, or a symbolic link that leads nowhere, is
//     an error and not a missing file: "no rcpthosts" means "relay for all".
//  3. A file that is present and empty gives the empty value, not the default.
//  4. The bytes of a value are those of the file: CR, leading blanks and
//     bytes over 127 are kept; only blanks, tabs and LF at the end go.
//  5. Reading never waits: not on a FIFO, not on a lock.
//  6. An error names the file, and the line where there is one.
//
// Every error is temporary: nothing is known about the mail, only about the
// configuration.
//
// Files: control.go (the four kinds), fault.go (lines that are wrong), file.go
// (bytes of one file, its limits), cached.go (files that are read again when they
// change).
package control
