// Package policy is qmail-policy: it asks the DNS for qmail-smtpd, which may
// not connect to anybody, and remembers for it who came before.
//
// Only cmd/qmail-policy imports it. Questions are hostile: clients chose all of
// them but the zones of lists; so are the answers of name servers, and the
// file of the greylist if the disk was damaged. What follows from an answer,
// qmail-smtpd decides: all settings are there.
//
// Invariants:
//
//  1. "Not listed", "no name", "none" are said only if a name server said so;
//     everything else is "not known now".
//  2. Each question ends within its time, whatever name servers do, and what
//     runs and what is kept has bounds.
//  3. Of senders and recipients only salted hashes are kept, in memory and on
//     disk, at most maxTriplets of them.
//  4. A file that is damaged costs the damaged records, and never the service.
//     A crash costs the last seconds.
//
// SPF is blitiri.com.ar/go/spf. The greylist is a map with a journal of our
// own: its records have 32 bytes and all fit into memory, so a database would
// be slower, more code, and (mapped into memory) would crash on a damaged file.
//
//	main.go      Main: the control channel, links
//	names.go     the resolver of this machine
//	lists.go     lists of addresses in the DNS (DNSBL, DNSWL)
//	reverse.go   the name of a client
//	spf.go       SPF
//	greylist.go  who has tried before
//	journal.go   its file
package policy
