package qmailqueue

import (
	"bufio"
	"io"
	"math"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"postrider/internal/enqueue"
	"postrider/internal/world"
)

// lifetime is when the program gives up: well before qmail-spool removes what
// nobody finishes.
const lifetime = 24 * time.Hour

// Main is qmail-queue.
func Main(w world.World) int {
	ignoreSignals()
	standardRuntime(w)
	hasText := textWanted()
	alarm := time.NewTimer(lifetime)
	defer alarm.Stop()
	result := make(chan error, 1)
	go func() { result <- queue(w) }()
	select {
	case err := <-result:
		return report(err, hasText)
	case <-alarm.C:
		return enqueue.ExitTimeout // what was sent so far is dropped with us
	}
}

// ignoreSignals does what the caller's terminal and limits shall not stop
// (spec section 1.1). Nothing is started from here that would inherit it.
func ignoreSignals() {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT,
		syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGXCPU, syscall.SIGXFSZ)
}

// standardRuntime undoes what the caller's environment asked of the runtime.
func standardRuntime(w world.World) {
	_, gogc := w.Getenv("GOGC")
	_, limit := w.Getenv("GOMEMLIMIT")
	if gogc || limit {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
	}
}

// queue puts the message on descriptor 0 with the envelope on descriptor 1
// into the queue.
func queue(w world.World) (err error) {
	if world.MadeByRuntime(w.Stdin) {
		return errRead
	}
	s, err := enqueue.Begin(enqueue.Options{Home: w.Home})
	if err != nil {
		return err
	}
	defer s.Abort()
	if err := readMessage(w.Stdin, s); err != nil {
		return err
	}
	// Descriptor 1 is an input: the envelope.
	if err := readEnvelope(bufio.NewReaderSize(w.Stdout, envelopeBuffer), s); err != nil {
		return err
	}
	_, err = s.Commit()
	return err
}

func readMessage(r io.Reader, s *enqueue.Submission) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if _, err := s.Write(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errRead
		}
	}
}
