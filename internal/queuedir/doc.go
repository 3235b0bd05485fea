// Package queuedir is the queue on disk: names, places and file formats, and
// nothing that decides. qmail-spool writes entries, qmail-send reads them and
// keeps the progress files; the queue viewers read both.
//
// It imports formats and ground packages only. What it reads may be torn or
// damaged, and is checked; the files of drop/ are hostile.
//
// Invariants:
//
//  1. An entry is whole if and only if its footer and checksums say so: every
//     cut and every changed byte is found (ErrTorn, ErrDamaged).
//  2. No descriptor of a file that holds an envelope goes to a delivery agent:
//     Entry.Body returns files that hold exactly the message.
//  3. Memory is bounded whatever the number of recipients.
//
// Files:
//
//	id.go        message numbers
//	layout.go    where things are
//	envelope.go  the records of an envelope
//	entry.go     an accepted message: footer, checksums, body
//	handed.go    the same for who was handed its files
//	regular.go   opening files of the queue, which may be anything
//	progress.go  what was done so far for a message that waits
//	size.go      how long such a file may be
//	operator.go  of attempts, and what operators changed
//	drop.go      what is left for a qmail-spool that does not answer
package queuedir
