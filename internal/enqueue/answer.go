package enqueue

import "postrider/internal/wire/submit"

// Verdict returns what qmail-spool's answer means to a submitter that speaks
// the protocol itself: the message's number, or a *fate.Error whose Text is
// what qmail's programs tell their caller.
func Verdict(a submit.Answer) (id string, err error) { return verdict(a) }
