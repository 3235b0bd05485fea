// Package layout writes what a site wants as the directories control, alias and
// users of this suite, and checks them by the code that reads them.
//
// Only qmail-migrate imports it. The site is what a reader made of files that may
// be odd: no name or line of it leaves the directory, or its line.
//
// Invariants:
//
//  1. Nothing is written into a directory that has anything in it, nor into the
//     home directory of this machine or one below.
//
//  2. The directory is there whole or not at all, and durable when Write returns.
//
//  3. An address that the form of .qmail files cannot hold is a remark.
//
//     write.go    the directory and its files
//     domains.go  domains and their addresses: virtualdomains, .qmail files
//     check.go    what the readers say of it
package layout
