package enqueue

import (
	"errors"
	"strconv"

	"postrider/internal/fate"
)

// Exit codes of qmail-queue and of every program that stands in for it (spec
// section 1.3). 11 to 40 are permanent, 0 is success, all others temporary.
const (
	ExitOK           = 0
	ExitTooLong      = 11  // an address is too long
	ExitRefused      = 31  // permanently rejected
	ExitMemory       = 51  // out of memory
	ExitTimeout      = 52  // more than 24 hours
	ExitWrite        = 53  // write error or disk full
	ExitRead         = 54  // read error, or the caller gave up
	ExitConfig       = 55  // configuration
	ExitHome         = 61  // the qmail home directory
	ExitQueue        = 62  // files in the queue
	ExitBug          = 81  // internal bug
	ExitCustom       = 82  // the text is on descriptor 6
	ExitGrammar      = 91  // envelope grammar
	exitLegacyLong   = 115 // the same as ExitTooLong
	exitCustomLegacy = 88  // the text is on descriptor 4
	exitExec         = 120 // the queue program could not be started
)

// exitStatus is the cause in a *fate.Error that says which exit code it stands
// for.
type exitStatus struct {
	code   int
	custom bool // the text is not the one that the code implies
	err    error
}

func (e *exitStatus) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return "message not queued, code " + strconv.Itoa(e.code)
}

func (e *exitStatus) Unwrap() error { return e.err }

// ExitCode returns qmail-queue's exit code for an error of this package.
func ExitCode(err error) int {
	var e *exitStatus
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.code
	case fate.ClassOf(err) == fate.Permanent:
		return ExitRefused
	}
	return ExitWrite
}

// failure returns the error for an exit code, with the text that qmail's
// callers show.
func failure(code int, op string, err error) *fate.Error {
	text, status := textOf(code)
	text += " (#" + digit(isPermanent(code)) + status + ")"
	return classified(isPermanent(code), status, text, op, &exitStatus{code: code, err: err})
}

// explained returns the error for an exit code with a text of its own.
func explained(code int, permanent bool, status, text, op string) *fate.Error {
	return classified(permanent, status, text, op, &exitStatus{code: code, custom: true})
}

func classified(permanent bool, status, text, op string, cause *exitStatus) *fate.Error {
	if permanent {
		return fate.Perm(status, text, op, cause)
	}
	return fate.Temp(status, text, op, cause)
}

// Explanation returns the text of an error that says more than its exit code,
// as a queue program writes it on descriptor 6: D or Z and a sentence. It is
// empty if the exit code says all.
func Explanation(err error) string {
	var status *exitStatus
	var e *fate.Error
	if !errors.As(err, &status) || !status.custom || !errors.As(err, &e) {
		return ""
	}
	if e.Class == fate.Permanent {
		return "D" + e.Text
	}
	return "Z" + e.Text
}

// Trouble returns what failed on this machine, for whoever has to mend it:
// the operation and its error. It is empty if the text says all.
func Trouble(err error) string {
	var status *exitStatus
	var e *fate.Error
	if !errors.As(err, &status) || status.err == nil || !errors.As(err, &e) {
		return ""
	}
	return e.Error()
}

func isPermanent(code int) bool { return code >= 11 && code <= 40 || code == exitLegacyLong }

func digit(permanent bool) string {
	if permanent {
		return "5."
	}
	return "4."
}

// textOf returns the text for a code and its status without the class.
func textOf(code int) (text, status string) {
	switch code {
	case ExitTooLong, exitLegacyLong:
		return "envelope address too long for qq", "1.3"
	case ExitRefused:
		return "mail server permanently rejected message", "3.0"
	case ExitMemory:
		return "qq out of memory", "3.0"
	case ExitTimeout:
		return "qq timeout", "3.0"
	case ExitWrite:
		return "qq write error or disk full", "3.0"
	case ExitRead:
		return "qq read error", "3.0"
	case ExitConfig:
		return "qq unable to read configuration", "3.0"
	case 56:
		return "qq trouble making network connection", "3.0"
	case ExitHome:
		return "qq trouble in home directory", "3.0"
	case ExitQueue, 63, 64, 65, 66:
		return "qq trouble creating files in queue", "3.0"
	case 71:
		return "mail server temporarily rejected message", "3.0"
	case 72:
		return "connection to mail server timed out", "4.1"
	case 73:
		return "connection to mail server rejected", "4.1"
	case 74:
		return "communication with mail server failed", "4.2"
	case ExitBug, ExitGrammar:
		return "qq internal bug", "3.0"
	case exitExec:
		return "unable to exec qq", "3.0"
	}
	if isPermanent(code) {
		return "qq permanent problem", "3.0"
	}
	return "qq temporary problem", "3.0"
}
