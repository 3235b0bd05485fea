package logline

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// MaxPending is the most bytes that wait for the sink: a list with 100,000
	// recipients makes as much while a disk that the log is on pauses.
	MaxPending = 2 << 20
	// maxPendingStatus is where status lines are no longer taken, so that they
	// leave room for those that nothing replaces.
	maxPendingStatus = 64 << 10
	// maxSpare is the most memory that is kept for the next lines.
	maxSpare = 256 << 10
	// atomicWrite is PIPE_BUF: the most that a pipe takes as one piece.
	atomicWrite = 4096
	// closeWait bounds how long Close waits for a blocked sink.
	closeWait = 2 * time.Second
)

// Writer writes lines to a file from a goroutine of its own.
type Writer struct {
	f    *os.File
	done chan struct{} // closed when the goroutine has ended

	mu         sync.Mutex
	wake       sync.Cond
	pending    []byte
	lost       int // lines that were not taken
	lostStatus int // status lines among them
	closed     bool
	writing    bool // lines that were taken from pending
}

// NewWriter returns a Writer on f, which stays the caller's.
func NewWriter(f *os.File) *Writer {
	w := &Writer{f: f, done: make(chan struct{})}
	w.wake.L = &w.mu
	go w.run()
	return w
}

// Line logs s, to which it adds the LF.
func (w *Writer) Line(s string) { w.take(s, MaxPending, false) }

// Status logs s, a line that the next of its kind makes stale: it is the first
// to be lost when the sink blocks.
func (w *Writer) Status(s string) { w.take(s, maxPendingStatus, true) }

func (w *Writer) take(s string, limit int, status bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.pending)+len(s)+1 > limit {
		w.lost++
		if status {
			w.lostStatus++
		}
		return
	}
	if w.lost > 0 && !status && len(w.pending) < maxPendingStatus { // the sink takes lines again
		w.reportLost()
	}
	w.pending = appendLine(w.pending, s)
	w.wake.Signal()
}

// reportLost logs how many lines are missing at this place.
func (w *Writer) reportLost() {
	w.pending = appendLine(w.pending, "warning: log was blocked: "+strconv.Itoa(w.lost)+" lines lost, "+
		strconv.Itoa(w.lostStatus)+" of them status lines")
	w.lost, w.lostStatus = 0, 0
}

// appendLine appends s as one line of printable ASCII.
func appendLine(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 127 {
			c = '_'
		}
		b = append(b, c)
	}
	return append(b, '\n')
}

// Flush waits until the sink has what was logged so far, or for two seconds.
func (w *Writer) Flush() {
	for deadline := time.Now().Add(closeWait); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		written := len(w.pending) == 0 && !w.writing
		w.mu.Unlock()
		if written {
			return
		}
	}
}

// Close writes what is pending, if the sink takes it within two seconds.
func (w *Writer) Close() {
	w.mu.Lock()
	if w.lost > 0 && !w.closed {
		w.reportLost()
	}
	w.closed = true
	w.wake.Signal()
	w.mu.Unlock()

	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	var spare []byte
	for {
		batch := w.next(spare)
		if batch == nil {
			return
		}
		w.write(batch)
		spare = nil
		if cap(batch) <= maxSpare {
			spare = batch[:0]
		}
	}
}

// next waits for lines and takes them all; nil is the end.
func (w *Writer) next(spare []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = false
	for len(w.pending) == 0 && !w.closed {
		w.wake.Wait()
	}
	if len(w.pending) == 0 {
		return nil
	}
	batch := w.pending
	w.pending, w.writing = spare, true
	return batch
}

// write writes whole lines, as many as fit into one atomic write at a time. A
// sink that fails loses them: there is nowhere to say so.
func (w *Writer) write(batch []byte) {
	for len(batch) > 0 {
		n := wholeLines(batch)
		if _, err := w.f.Write(batch[:n]); err != nil {
			w.mu.Lock()
			w.lost += bytes.Count(batch[:n], []byte{'\n'})
			w.mu.Unlock()
		}
		batch = batch[n:]
	}
}

// wholeLines returns the length of the lines at the start of b that go into
// one write: at least one, else at most atomicWrite bytes.
func wholeLines(b []byte) int {
	if len(b) <= atomicWrite {
		return len(b)
	}
	if i := bytes.LastIndexByte(b[:atomicWrite], '\n'); i >= 0 {
		return i + 1
	}
	return bytes.IndexByte(b, '\n') + 1
}
