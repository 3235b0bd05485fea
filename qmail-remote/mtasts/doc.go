// Package mtasts is qmail-mtasts: it finds out for qmail-remote what domains
// say by MTA-STS (RFC 8461), and keeps it.
//
// Only cmd/qmail-mtasts imports it. Questions are hostile: anybody chooses the
// domains of recipients; so is all that name servers and web servers say. Whoever
// takes over net/http (internal/https) here has nothing but the policies.
//
// Invariants:
//
//  1. That there is no policy is said where none is kept and none can be had
//     (RFC 8461 section 3.3). Trouble of this machine is "not known now".
//
//  2. A policy that is kept counts until it is too old, whatever name servers
//     and web servers say meanwhile, unless they have a newer one.
//
//  3. A policy comes from https://mta-sts.DOMAIN and nowhere else, from a server
//     with a certificate that this machine trusts for that name.
//
//  4. Each question ends within its time, and what runs, is read, and is kept
//     has bounds.
//
//  5. A damaged file costs the policies that it holds. One that cannot be read now
//     is not damaged: what it says is not known then.
//
//     main.go   Main: the control channel, links
//     find.go   what counts for a domain: what is kept, what is new
//     fetch.go  a policy from its web server
//     explain.go  what counts, for qmail-explain
//     store.go  what is kept, in memory and on disk
package mtasts
