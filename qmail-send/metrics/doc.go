// Package metrics is qmail-metrics, which tells over HTTP what the daemons have
// counted (internal/figures), in the text format of Prometheus.
//
// Only cmd/qmail-metrics imports it. Requests are hostile, and so is every word
// of the memory in which others count: a daemon that was taken over writes there
// what it likes. What qmail-start says is trusted.
//
// Invariants:
//
//  1. Nothing of a request but its method and path is looked at, and nothing of
//     it is repeated in an answer.
//
//  2. At most maxClients clients of a socket are connected, none for longer than
//     an idle one may be, and an answer is made once at a time.
//
//  3. What is told parses, whatever the areas hold: names, labels and the order
//     of buckets are those of the table, numbers are finite.
//
// Trouble with a client ends its connection, and nothing else; trouble with the
// control channel ends the program with 111. Mail never waits for it.
//
// Files: main.go (from the control channel to the listeners), serve.go (HTTP),
// text.go (the format).
package metrics
