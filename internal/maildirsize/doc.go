// Package maildirsize keeps the file of that name in a Maildir++: the quota of
// the mailbox and what it holds, as Courier, Dovecot and vpopmail keep them.
//
// Any package may import it. The mailbox is its owner's, so hostile: its file
// may say anything and change at any time. The process that delivers has his
// rights and no others; one that only reads (qmail-lookup) calls Parse.
//
// The first line is the quota: a number followed by S (bytes) or C (messages),
// several separated by commas. Each further line is what was added, as two
// numbers, bytes and messages, negative if it was removed; blanks pad a line.
// Programs append a line in one write. A file of 5120 bytes and more, one whose
// sums say that the mailbox is full and that has more than one line or is
// older than 15 minutes, and one with a line that is none, is replaced: the
// messages are added up again. The quota of a folder, a directory that has a
// file maildirfolder, is that of the Maildir around it. Where the quota is kept
// elsewhere (vpopmail), the file follows that. What is in Trash, or
// has the flag T, does not count.
//
// Invariants:
//
//  1. Nobody is refused because of sums that are old: they are made again first.
//  2. The quota is never lost: its line is copied as it is.
//  3. Deliveries of one process that are under way count. Those of others, and
//     messages that their owner removes meanwhile, may be missed until the sums
//     are made again.
//  4. A Maildir without a quota costs one system call.
//  5. Adding up ends after maxEntries names, with an error.
//
// Files:
//
//	maildirsize.go  the text of the file
//	quotas.go       Quotas: room is reserved, and the file appended to
//	sum.go          adding up what a mailbox holds
package maildirsize
