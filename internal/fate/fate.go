// Package fate says what an error means for the mail: is it temporary or
// permanent, what may the peer or the bounce be told, and what was attempted
// on what for the log.
//
// Everybody may import it. Invariants:
//
//  1. An error that nobody classified is temporary: delaying is better than
//     losing.
//  2. Wrapping an error never changes its class.
package fate

import (
	"errors"
	"syscall"
)

// Class is what happens to the mail because of an error.
type Class int

const (
	// Temporary means that the same attempt may succeed later.
	Temporary Class = iota
	// Permanent means that it never will: claimed only where that is known.
	Permanent
)

// Error is a classified error.
type Error struct {
	Class Class
	// Code is the enhanced status code without its class digit, "3.0" for
	// 4.3.0 or 5.3.0 (RFC 3463): the digit follows from Class.
	Code string
	// Text is one sentence fit for a peer or a bounce.
	Text string
	// Op says for the log what was attempted and on what: "open control/me".
	Op string
	// Err is the cause, or nil.
	Err error
}

// Temp returns a temporary error.
func Temp(code, text, op string, err error) *Error {
	return &Error{Class: Temporary, Code: code, Text: text, Op: op, Err: err}
}

// Perm returns a permanent error.
func Perm(code, text, op string, err error) *Error {
	return &Error{Class: Permanent, Code: code, Text: text, Op: op, Err: err}
}

// Error returns the form for the log: what was attempted, and the cause.
func (e *Error) Error() string {
	switch {
	case e.Op == "" && e.Err == nil:
		return e.Text
	case e.Op == "":
		return e.Err.Error()
	case e.Err == nil:
		return e.Op + ": " + e.Text
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status returns the enhanced status code with its class digit.
func (e *Error) Status() string {
	code := e.Code
	if code == "" {
		code = "3.0"
	}
	if e.Class == Permanent {
		return "5." + code
	}
	return "4." + code
}

// ClassOf returns the class of err: that of the outermost *Error in its
// chain, Temporary if there is none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Temporary
}

// IsShortage reports whether err is trouble of this machine, which says nothing
// about a peer: descriptors, memory or buffers that it does not have now.
func IsShortage(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// IsTemporaryErrno reports whether err carries one of the error numbers that
// qmail counts as temporary when opening or executing something.
func IsTemporaryErrno(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EINTR, syscall.ENOMEM, syscall.ETXTBSY, syscall.EIO, syscall.ETIMEDOUT,
		syscall.EAGAIN, syscall.EDEADLK, syscall.EBUSY, syscall.ENFILE, syscall.EMFILE,
		syscall.EFBIG, syscall.ENOSPC, syscall.ENETDOWN, syscall.ENETUNREACH,
		syscall.ENETRESET, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ENOBUFS,
		syscall.ETOOMANYREFS, syscall.ECONNREFUSED, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH, syscall.EUSERS, syscall.EDQUOT, syscall.ESTALE,
		syscall.ENOLCK:
		return true
	}
	return false
}
