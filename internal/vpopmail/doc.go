// Package vpopmail reads what vpopmail has made of a domain, so that its mail is
// delivered without a program of vpopmail's.
//
// Who may import it: qmail-local, which delivers, and qmail-lookup, which says
// who has a mailbox. A domain's files are its user's, so hostile to everybody
// else: a process reads them with that user's rights, or as one to whom everybody
// may show what he likes.
//
// A domain is a directory: users/assign sends all addresses of the domain there,
// and the file .qmail-default in it has the line
//
//	| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox
//
// whose last word says what becomes of mail for nobody. Who the users are is in
// the file vpasswd.cdb beside it. Its keys are their names in small letters, and
// the data of each is the rest of his line in the file vpasswd:
//
//	password:flags:flags:comment:directory:quota[:password in clear text]
//
// of which the second flags, where passwd has the gid, say that an account is
// closed. In the directory of a user are his Maildir, and, if he wants more, a
// .qmail file.
//
// Invariants:
//
//  1. Nobody is missing because the database could not be read or is damaged.
//  2. No password leaves this package.
//  3. A lookup costs the same whether a domain has ten users or a million, and at
//     most maxName lookups are made for an address.
//
// Files:
//
//	settings.go  control/vpopmail
//	command.go   the line that runs vdelivermail
//	users.go     vpasswd.cdb
//	quota.go     the quota of a user
package vpopmail
