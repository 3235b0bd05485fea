// Package fair is the turns of senders: whose message is next, and who a sender
// is.
//
// Only qmail-send imports it.
//
// Input: envelopes of messages that were accepted, whose records of the account,
// the client and the user come from those who have checked them, and
// control/senderweights (the administrator's; a line that is wrong is an error
// that names it). A sender's choice of words changes no turn but his own. What is
// kept of senders that have nothing any more is bounded.
//
// Files: queue.go (turns), fifo.go (queues in them), senders.go (who a sender is,
// and his weight).
package fair
