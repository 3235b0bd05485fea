// Package ledger decides whether a mail system lost, damaged, duplicated or
// invented mail. A load generator writes down every message before it sends
// it and every answer; at the end everything that can be found in mailboxes,
// sinks, bounces, the queue and the log is held against that.
//
// Who may import it: tests and the benchmark. It knows no program of the suite
// and imports none of its packages, so that it cannot share their mistakes.
//
// Trust: the evidence comes from the system under test and is not believed;
// the ledger's own file is.
//
// The rules (Rule) are those of a run that has come to rest:
//
//	L1  loss        acknowledged, and not delivered, bounced or queued
//	L2  integrity   a delivery that differs from what was sent, a foreign file
//	L3  ghost       refused, and yet there; unknown, and there in part
//	L4  duplicates  delivered more often than faults excuse
//	L5  exclusive   delivered and bounced
//	L6  envelope    a recipient or sender that nobody gave
//	L7  bounces     too many, for the null sender, for a refused message
//	L8  quiescence  something is left in the queue or runs on
//	L9  progress    too little was delivered soon after the last fault
//	L10 honesty     the log and the deliveries disagree
//	L11 obedience   an operator's order was answered as done, and is not
//
// What an operator has deleted may be gone (L1). A recipient whose address he
// has changed has the message by the old address or by the new one.
//
// Files:
//
//	record.go    the ledger's file: what is written, and read back
//	message.go   messages that can be recognised, and what is found in others
//	evidence.go  what was found where
//	log.go       attempts, from the scheduler's log
//	order.go     orders of operators, and whether they count
//	check.go     the rules
package ledger
