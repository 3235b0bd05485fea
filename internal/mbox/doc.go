// Package mbox appends messages to mbox files (spec section 4.3): a From_
// line, the message with ">" put before each line that could be taken for
// one, and an empty line.
//
// Imported by qmail-local. The file is its owner's, the message hostile and
// only copied.
//
// Invariants:
//
//  1. Nothing is written without the exclusive flock and, where the file system
//     has it, the lock of fcntl that readers take, nor while there is a lock file,
//     nor into a file whose name is another's by then.
//  2. Append returns nil only after the message is durable, and, if the file
//     was empty, its name as well.
//  3. After an error the file is as long as before, as far as the file system
//     still obeys.
//  4. A message begins after an empty line, whatever a delivery that was
//     killed left at the end of the file.
//  5. Memory does not depend on the message: a line may be gigabytes.
//
// Every error is temporary for the mail; ErrMessage says that it was the
// message that could not be read, ErrLocked that others held the file.
//
//	append.go  File, Append: lock, write, sync, or take back
//	quote.go   the quoting of From_ lines as a byte machine
//	file_linux.go  Open: an mbox on disk
package mbox
