// Package durable makes what was written survive a power cut, many writers
// together: the group commit of the queue and of Maildirs.
//
// Rooms and stores may import it; it imports no other package of ours. It
// trusts the names it is given: they are made by us, relative to a directory
// that only we can write.
//
// A writer takes a Ticket before its first change, writes, renames, and then
// joins its Group, which syncs the files of all who wait at that moment, all at
// the same time, and then each of their directories once. A Maildir delivery
// waits twice, once for its data and once for its rename.
//
// Files are synced one by one, not the whole file system: every error is that
// of a file of ours, and nobody waits for what others have written. The kernel
// runs the syncs of a group side by side and the journal merges them.
// docs/performance.md compares that with syncfs. That is for those who have
// changed hundreds of files at a time and are in less of a hurry than others
// (Group.Bulk), on file systems whose syncfs is known to tell of every error.
//
// Invariants:
//
//  1. A sync serves only what was finished before it began: who arrives while
//     one runs waits for the next.
//  2. A failed sync is final for everybody who had begun to write when it
//     failed, also for those who wait in the next group: the kernel reports a
//     lost page once, and nobody can know whose it was. There is never a
//     second sync that "works" (R5).
//  3. Contents are durable before the directories are synced that name them.
//  4. Nobody waits to collect a group: a lone writer is synced at once.
//  5. A sync of a directory counts only if the file system answers afterwards: an
//     XFS that has shut itself down says yes to it, and has lost the names.
//  6. Names are never replaced: Create and Rename fail with EEXIST.
//
// Every error here is temporary for the mail.
//
// Files: group.go the group commit; queue_linux.go many syncs at a time
// without threads; open_linux.go the groups of real file systems; tree.go the
// file operations as an interface; tree_linux.go the real ones,
// treeat_linux.go below a user's directory, copy_linux.go copying. The folder
// durabletest has file operations for tests that fail and crash on demand.
package durable
