// Package links is the links of qmail-send to those who do its work: qmail-spool,
// qmail-lspawn and the qmail-remote workers.
//
// Only qmail-send imports it.
//
// Input: packets of processes of other users (checked against their protocol here,
// and by the scheduler against what they were asked; who breaks the protocol is
// told as one whose link has ended). Nothing is outstanding on a fresh link: what
// was asked is asked again.
//
// Whoever puts something into a link never waits: one goroutine of each sends, one
// receives, and they end with it.
//
// Files: agent.go (who delivers), spool.go (qmail-spool, about entries).
package links
