// Package setup is qmail-setup: it lays out an installation as internal/priv
// describes it. It makes users, groups and directories, sets owners and modes,
// and puts programs in place.
//
// Only cmd/qmail-setup imports it. It is run by the administrator and believes
// /etc/passwd, /etc/group and what belongs to root. Directories below Q/queue
// belong to the queue's users, who are not believed.
//
// Invariants:
//
//  1. Running it again changes nothing. What was interrupted is completed.
//  2. An existing account, group, control file or user's file stays as it is,
//     except that a group gets members that it lacks.
//  3. A classic qmail with the same home directory goes on working until its
//     programs are replaced; replaced programs are kept in Q/bin.classic.
//  4. Inside directories of the queue's users no link is followed and only
//     files with one name are touched (R71).
//  5. /etc/passwd, /etc/group and programs are replaced by rename, whole.
//
// Files: main.go (arguments and order), accounts.go (users and groups),
// etcfile_linux.go (replacing a file of /etc), tree_linux.go (directories), programs.go
// (installing), first.go (what a new installation is configured as).
package setup
