package qmaillocal

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"postrider/internal/fate"
)

// maxReport is the most that is kept of what is said about a delivery.
const maxReport = 10000

// report collects the first maxReport bytes that are written to it and drops
// the rest.
type report struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer; it never fails.
func (r *report) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Write(p[:min(len(p), maxReport-r.buf.Len())])
	return len(p), nil
}

func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// temporary is a failure with qmail's text: a sentence and its status code.
func temporary(op string, err error, format string, args ...any) error {
	return fate.Temp("3.0", fmt.Sprintf(format, args...), op, err)
}

// textOf returns what the report says about a failure; a program that failed
// has said it all itself.
func textOf(err error) string {
	var e *fate.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return "Temporary failure: " + reason(err) + ". (#4.3.0)"
}

// reason returns the system's words for err, without names of files that the
// sender of a message need not see.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
