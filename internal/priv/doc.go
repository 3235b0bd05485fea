// Package priv is who runs as whom: the table of programs, users, groups and
// directories as data, and the entry check that every daemon makes first.
//
// qmail-start, qmail-setup, the daemons' main.go, the documents and the
// privilege test read the same table. It imports accounts, fdpass, qmailhome
// and the kernel's interface only. What it reads (/etc/passwd, /etc/group, the
// owner of the qmail home directory) is the administrator's and believed.
//
// An installation is separated if its home directory belongs to root: every
// role is then the user of the table. It is private if the directory belongs
// to somebody else: every role is then that user, and nothing is separated.
//
// Invariants:
//
//  1. No process changes its own identity. Enter compares what the parent
//     gave, in all of real, effective and saved ids, groups and capabilities,
//     and refuses anything else, more rights included.
//  2. What Enter changes holds in every thread: the process has several
//     before main begins.
//  3. Nothing that a program starts inherits a capability or an ignored
//     signal.
//  4. After Enter no descriptor is open that a parent passed by accident.
//  5. No two users of the table are one, and none is uid 0.
//
// Every error means that the installation is wrong: the program says so and
// exits 111, and no mail is touched.
//
// Files: role.go (the table of programs), tree.go (users, groups, directories),
// installation.go (separated or private, names to ids), chosen.go (the user that
// the administrator names), enter_linux.go (the
// entry check), descriptors_linux.go (what was inherited by accident),
// bound_linux.go (capabilities of children), policy.go (what the administrator
// says of the sandbox), confine_linux.go (files, ports and calls of a program),
// calls*.go (which calls those are), recipients.go (who gets mail),
// nobodies.go and become_linux.go (whom no mail is delivered as),
// starting_linux.go (children that somebody stops),
// files_linux.go (what root does in directories of others).
package priv
