// Package show is qmail-qread and qmail-qstat: what is in the queue, for
// people and for monitoring scripts (spec section 7.3).
//
// Who may import it: cmd/qmail-qread, cmd/mailq and cmd/qmail-qstat.
//
// Input: the queue's own files, which may be torn, damaged or just being
// removed, and the control files, which are believed. Addresses in the queue
// are hostile.
//
// Invariants:
//
//  1. Nothing is changed and nothing is locked: mail goes on meanwhile. An
//     entry that is removed while it is looked at is not mentioned.
//  2. No byte of an address reaches the terminal but printable ASCII.
//  3. Memory is bounded, whatever is in the queue.
//
// Who may read the queue is decided by the file system: root and qmails.
// Everybody else is shown what he has handed in himself, of which qmail-send hands
// over the files.
//
// The queue does not say whether a recipient is local or remote. qmail-qread
// asks the control files, as qmail-send did when it last read them
// (internal/route).
//
// Files:
//
//	qread.go    qmail-qread
//	qstat.go    qmail-qstat
//	entries.go  which messages there are
//	own.go      those of who may not read the queue
package show
