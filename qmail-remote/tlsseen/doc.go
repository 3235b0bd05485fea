// Package tlsseen is qmail-tlsseen: it remembers for qmail-remote which hosts
// have spoken TLS, so that one that suddenly offers none is noticed after a new
// start, too, and by every worker.
//
// Only cmd/qmail-tlsseen imports it. Questions are hostile: names of hosts come
// from the DNS. So is the file, if the disk was damaged.
//
// Invariants:
//
//  1. A host is remembered from the answer on; a crash costs the last seconds.
//
//  2. Memory and file have bounds. Of more than maxHosts, those seen longest ago
//     go, a part of them at a time.
//
//  3. A damaged line costs the host in it. While the file cannot be read nothing is
//     said of hosts that may be in it.
//
//     main.go   Main: the control channel, links
//     store.go  the hosts, in memory and in a file
package tlsseen
