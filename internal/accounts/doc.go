// Package accounts answers who a name or a local part of an address is:
// /etc/passwd and /etc/group, and whom Passwd.Ask knows beyond them, users/cdb, and qmail-getpw's rules (spec
// sections 3.4 and 3.5).
//
// Any package may import it. The files are the administrator's, so their
// content is trusted to mean what it says but not to be well formed; the
// local part is hostile and is only compared.
//
// Invariants:
//
//  1. Nobody is missing because a file could not be read: trouble is an error,
//     never "no such user". The same holds for whom a passwd that ends inside
//     a line does not have, and for a users/cdb without its list of wildcards.
//  2. uid 0 is never the result of qmail-getpw's rules.
//  3. A table is read again when the file's device, inode, size or time
//     changed; memory is bounded by MaxTable. Who is in the old one does not
//     wait for that.
//
// Everything but ErrUnknown, which says that the file was read and has no
// such name, is temporary.
//
//	passwd.go    Passwd: account by name; Lookup
//	group.go     LookupGroup
//	table.go     the cached file and its index
//	usersdb.go   local part by users/cdb
//	assign.go    users/assign, of which users/cdb is made
//	getpw.go     local part by passwd
//	resolve.go   Resolver: both in qmail's order
//	reach.go     homes that do not answer
//	break.go     what is between a user and an extension
//	nsswitch.go  where else the machine has accounts
package accounts
