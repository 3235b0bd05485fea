// Package maildir delivers messages into Maildirs so that a delivery that was
// reported survives a power cut.
//
// Imported by qmail-local. The directory is its owner's, who may do with it
// what he likes at any time; the process has his rights and no others. The
// message is hostile and only copied.
//
// Invariants:
//
//  1. Deliver returns nil only after the file's content and its name in new
//     are durable.
//  2. A file appears in new whole, under a name that no other delivery uses,
//     or not at all.
//  3. After an error nothing of the delivery is left in new or tmp, as far as
//     the file system still obeys.
//  4. An error of rename or link is believed only after looking: over NFS the
//     first try may have worked though the answer was lost (R22).
//  5. A Maildir is never created.
//  6. What is swept from tmp was not touched for sweepAge; a sweep looks at
//     maxSwept files, and a mailbox has at most one in sweepEvery.
//
// The deliveries of a process that wait at the same moment share their two
// syncs (package durable), and those into the same Maildir share its open
// directory. They do not wait for what the user's other programs have written.
//
// Every error is temporary for the mail; ErrMessage says that it was the
// message that could not be read.
//
//	store.go     Store: what the deliveries of a process share
//	deliver.go   Folder, Deliver: the steps of a delivery
//	names.go     Names: unique names
//	sweep.go     Sweep: what deliveries that were killed left in tmp
package maildir
