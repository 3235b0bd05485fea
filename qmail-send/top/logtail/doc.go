// Package logtail follows the log and keeps what came last.
//
// The parts of qmail-top import it. Lines were said by others, in the end by other
// hosts and clients: how many are kept, and how much of each, is bounded, and what
// is kept is printable ASCII.
//
// Files: tail.go (the log's file), event.go (what its lines say), filter.go (which
// of them are shown).
package logtail
