// Package durable makes what was written survive a power cut, many writers
// with one sync: the group commit of the queue and of Maildirs.
//
// Rooms and stores may import it; it imports no other package of ours. It
// trusts the names it is given: they are made by us, relative to a directory
// that only we can write.
//
// A writer takes a Ticket before its first change, writes, renames, and then
// waits in its Group; Wait returns nil when everything it did before is
// durable. A Maildir delivery waits twice, once for its data and once for its
// rename: other deliveries' data and renames ride on the same syncs.
//
// Invariants:
//
//  1. A sync serves only what was finished before it began: who arrives while
//     one runs waits for the next.
//  2. A failed sync is final for everybody who had begun to write when it
//     failed, also for those who wait in the next group: the kernel reports a
//     lost page once, and nobody can know whose it was. There is never a
//     second sync that "works" (R5).
//  3. syncfs is used only on ext4, xfs and btrfs, on a descriptor that was
//     open before the first write, one at a time. Elsewhere, and where it
//     takes much longer, each file and directory is synced by itself.
//  4. Nobody waits to collect a group: a lone writer is synced at once, the
//     cheapest way.
//  5. Names are never replaced: Create and Rename fail with EEXIST.
//
// Every error here is temporary for the mail.
//
// Files: group.go the group commit, pace.go when syncfs is worth it, tree.go
// the file operations as an interface, tree_linux.go the real ones,
// syncfs_linux.go which file systems have a syncfs to be trusted. The folder
// durabletest has file operations for tests that fail and crash on demand.
package durable
