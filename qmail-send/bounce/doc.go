// Package bounce is what qmail-send says to senders: notices of failure, of delay
// and of success, the words and fields in them, and their way to qmail-spool
// (spec 2.6, RFC 3464, RFC 6522).
//
// Only qmail-send imports it.
//
// Input: what delivery agents reported (the words of other hosts: kept to one
// paragraph, and the boundary of parts cannot be foretold), entries and progress
// files (ours, but torn or damaged by crash and disk: checked), and qmail-spool's
// answers. Errors are queuedir.ErrDamaged and ErrTorn where a file is at fault; all
// others are temporary: the same notice submitted again is one message, as its
// nonce follows from what it tells.
//
// Files: notice.go (the words), report.go (the message, with what it says of
// recipients), submit.go (submitting it), verp.go (the sender a delivery is given,
// and whom its bounces go to).
package bounce
