package enqueue

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

const (
	greetingWait = 5 * time.Second
	// patience is how long qmail-spool may take for anything after its
	// greeting: a disk that hangs.
	patience = time.Hour
)

// spoolSink streams a message to qmail-spool.
type spoolSink struct {
	f     *os.File
	nonce queuedir.Nonce
	frame []byte
}

// dialSpool connects to the public socket. An error means that qmail-spool
// does not answer now, or has too much to do. One that ends a connection before
// its greeting is leaving, and its successor takes the next.
func dialSpool(home string, nonce queuedir.Nonce) (s *spoolSink, err error) {
	for range attempts {
		s, err = dialOnce(home, nonce)
		if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			break
		}
	}
	return s, err
}

func dialOnce(home string, nonce queuedir.Nonce) (*spoolSink, error) {
	f, err := fdpass.Dial(queuedir.At(home).Socket())
	if err != nil {
		return nil, err
	}
	err = f.SetDeadline(time.Now().Add(greetingWait))
	if err == nil {
		err = submit.ReadGreeting(f)
	}
	if err == nil {
		err = f.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		_ = f.Close() // nothing was said
		return nil, err
	}
	return &spoolSink{f: f, nonce: nonce}, nil
}

// exchange sends a whole small message and waits for the answer.
func (s *spoolSink) exchange(body, env []byte) (submit.Answer, error) {
	defer s.f.Close() // the answer is all that counts
	b := make([]byte, 0, len(body)+len(env)+3*submit.HeaderSize+len(s.nonce))
	if len(body) > 0 {
		b = submit.AppendFrame(b, submit.Message, body)
	}
	b = submit.AppendFrame(b, submit.Envelope, env)
	b = submit.AppendFrame(b, submit.Commit, s.nonce[:])
	// An error may be that of a server which has answered and left.
	_, writeErr := s.f.Write(b)
	a, err := submit.ReadAnswer(s.f)
	if err != nil && writeErr != nil {
		err = writeErr
	}
	return a, err
}

func (s *spoolSink) write(kind byte, p []byte) error {
	if err := s.f.SetDeadline(time.Now().Add(patience)); err != nil {
		return failure(ExitWrite, "send to qmail-spool", err)
	}
	for len(p) > 0 {
		n := min(len(p), submit.MaxFrame)
		s.frame = submit.AppendFrame(s.frame[:0], kind, p[:n])
		if _, err := s.f.Write(s.frame); err != nil {
			return failure(ExitWrite, "send to qmail-spool", err)
		}
		p = p[n:]
	}
	return nil
}

func (s *spoolSink) commit() (string, error) {
	defer s.f.Close() // the answer is all that counts
	_, err := s.f.Write(submit.AppendFrame(nil, submit.Commit, s.nonce[:]))
	if err != nil {
		return "", failure(ExitWrite, "send to qmail-spool", err)
	}
	a, err := submit.ReadAnswer(s.f)
	if err != nil {
		return "", failure(ExitWrite, "wait for qmail-spool", err)
	}
	return verdict(a)
}

// abort leaves without a commit.
func (s *spoolSink) abort() { _ = s.f.Close() }

// verdict returns what an answer means.
func verdict(a submit.Answer) (string, error) {
	if a.Kind == submit.Accepted {
		return a.ID, nil
	}
	if a.Text != "" {
		status := "3.0"
		if strings.HasSuffix(a.Text, "(#4.3.1)") {
			status = "3.1" // a full queue
		}
		return "", explained(a.ExitCode, a.Kind == submit.Permanent, status, a.Text, "submit")
	}
	return "", failure(a.ExitCode, "submit", nil)
}
