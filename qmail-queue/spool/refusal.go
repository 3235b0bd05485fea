package spool

import "postrider/internal/wire/submit"

// qmail-queue's exit codes that the spool itself finds a reason for (spec
// section 1.3).
const (
	exitTooLong = 11 // an address is too long
	exitRefused = 31 // an address that no queue of ours holds
	exitMemory  = 51
	exitWrite   = 53
	exitCreate  = 65
	exitGrammar = 91
)

// refusal is why a submitted message is not accepted.
type refusal struct {
	code int
	text string // for the submitter; empty where the code says all
	err  error  // for the log; nil if it is only the submitter's fault
}

func (r *refusal) Error() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.text != "":
		return r.text
	}
	return "message refused"
}

func (r *refusal) Unwrap() error { return r.err }

// answer is what the submitter is told. Codes 11 to 40 are permanent.
func (r *refusal) answer() submit.Answer {
	kind := byte(submit.Temporary)
	if r.code >= 11 && r.code <= 40 {
		kind = submit.Permanent
	}
	return submit.Answer{Kind: kind, ExitCode: r.code, Text: r.text}
}
