// Package resolver asks the system's name servers for mail exchangers,
// addresses, texts, keys of mail servers and the names of addresses. It is a stub resolver of its own
// because a mail system must tell "there is no such name" (permanent) from
// "nobody could say" (temporary), which Go's own resolver does not always do.
//
// qmail-remote, qmail-mtasts and qmail-policy import it. The configuration is the
// administrator's; everything that arrives from the network is hostile.
//
// Invariants:
//
//  1. ErrNoName and ErrNoRecord are returned only if a server answered the
//     question that was asked, with that result. Everything else, a referral
//     or a lame answer included, is a temporary error.
//  2. An answer counts only if it comes from the address and port that was
//     asked and repeats the random id, name, type and class; records count
//     only if they belong to the name or to a target of its CNAMEs.
//  3. Each query has its own socket, thus its own random port, and its own id.
//  4. A lookup ends within a minute and holds less than 1 MiB, whatever the
//     servers send.
//  5. An answer counts as authentic only if the servers of the configuration are
//     believed about that, and said so of each part of it.
//  6. The cache keeps an answer no longer than its records allow. It and the
//     lookups that run are bounded.
//
// Files:
//
//	config.go    which servers, from resolv.conf
//	system.go    a resolver that is made again when resolv.conf changes
//	resolver.go  the lookups, and following a CNAME
//	authentic.go lookups that tell whether the answer is authentic (DNSSEC)
//	exchange.go  one query to one server, UDP and TCP
//	answer.go    what a response says, and whether it may be believed
//	cache.go     answers kept, and lookups shared while they run
package resolver
