// Package aliases is the format of aliases(5) and .forward files, as sendmail and
// Postfix have it, and the tables that control/aliases names.
//
// Who may import it: qmail-lspawn and qmail-lookup which ask
// whether a local part is in a table, qmail-local, which does what it says there,
// and newaliases, which checks them and makes databases of them. Tables are the administrator's: their content is
// trusted to mean what it says but not to be well formed. A .forward file and an
// :include: list may be anybody's. A local part is hostile and is only compared.
//
// Invariants:
//
//  1. Nobody is missing from a table because that could not be read, is being
//     written, can be written by everybody, or has a line that means nothing: all
//     of that is an error, which is temporary, and never "no such alias".
//
//  2. What an :include: list says is addresses: it never runs a program or names
//     a file.
//
//  3. An expansion ends: names that lead back to themselves are an error, and
//     the number of targets, of lists and of bytes has a limit.
//
//  4. No target's text holds a line end or a zero byte.
//
//     list.go       Parse: what is behind the colon, a line of .forward
//     table.go      a text file of aliases
//     built.go      the database of a text
//     compiled.go   a cdb of fastforward
//     tables.go     Tables: all that control/aliases names
//     expand.go     from a name to what is to be done
//     check.go      what newaliases says
package aliases
