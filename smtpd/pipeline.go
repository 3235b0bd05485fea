package smtpd

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"postrider/internal/absence"
	"postrider/internal/submitlink"
	"postrider/internal/wire/submit"
)

// pipeline is the connection to qmail-spool that short messages share: those
// that wait at a time go in one write, and the answers, which come in order,
// are read together.
type pipeline struct {
	connection
	readEnded chan struct{}

	mu      sync.Mutex
	changed sync.Cond
	waiting []*shortMessage // to be written
	writing []*shortMessage // being written: nobody else may have their memory
	sent    []*shortMessage // to be answered
	broken  error           // why it cannot go on
}

// shortMessage is a message with its envelope on its way. The frames belong to
// the session that waits for the end.
type shortMessage struct {
	frames [][]byte
	done   chan struct{}
	answer submit.Answer
	err    error
}

func newPipeline(c connection) *pipeline {
	l := &pipeline{connection: c, readEnded: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// errUnsent says that a message never left: there is no outcome to be unsure of.
var errUnsent = errors.New("not sent")

// exchange sends a short message and waits for the answer. The error is
// errUnsent, or says that the outcome is not known.
func (p *spool) exchange(frames [][]byte) (submit.Answer, error) {
	m := &shortMessage{frames: frames, done: make(chan struct{})}
	for sent := false; !sent; {
		l, err := p.pipeline()
		if err != nil {
			return submit.Answer{}, fmt.Errorf("%w: %w", errUnsent, err)
		}
		sent = l.put(m) // or it broke just now
	}
	<-m.done
	return m.answer, m.err
}

// pipeline returns the one in use, or makes one.
func (p *spool) pipeline() (*pipeline, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.short == nil || p.short.isBroken() || p.link.Replaced(p.short.connection) {
		c, err := p.link.Open()
		if err != nil {
			return nil, err
		}
		p.short = newPipeline(c)
	}
	return p.short, nil
}

func (l *pipeline) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != nil
}

// put has m sent; false says that l is broken.
func (l *pipeline) put(m *shortMessage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return false
	}
	l.waiting = append(l.waiting, m)
	l.changed.Broadcast()
	return true
}

// run writes messages until the connection breaks, and then tells all that are
// left. Until then nobody gets back the memory that is being written from.
func (l *pipeline) run() {
	err := l.Greeting()
	if err == nil {
		go l.read()
	} else {
		close(l.readEnded)
	}
	for err == nil {
		frames := l.next()
		if frames == nil {
			break
		}
		if err = l.Send(frames); err != nil {
			if absence.Ended(err) {
				l.hearOut()
			}
			err = submitlink.Unavailable("write to qmail-spool", err)
			break
		}
		l.written()
	}
	l.end(err)
}

// next waits for messages and takes them all; none are the end.
func (l *pipeline) next() (frames [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && l.broken == nil {
		l.changed.Wait()
	}
	if l.broken != nil {
		return nil
	}
	for _, m := range l.waiting {
		frames = append(frames, m.frames...)
	}
	l.writing = append(l.writing[:0], l.waiting...)
	l.waiting = l.waiting[:0]
	l.setDeadline()
	return frames
}

// written lets those be answered that were being written.
func (l *pipeline) written() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, l.writing...)
	l.writing = l.writing[:0]
	l.changed.Broadcast()
}

// hearOut takes the answers that a spool gave before it ended. It has told its
// successor nothing of those messages, which would take them a second time.
func (l *pipeline) hearOut() {
	l.written() // or as much as there will be
	<-l.readEnded
}

// read takes the answers until the connection ends.
func (l *pipeline) read() {
	defer close(l.readEnded)
	in := bufio.NewReader(l.File)
	for {
		answer, err := submit.ReadAnswer(in)
		if err == nil && !l.answered(answer) {
			err = errors.New("an answer to nothing")
		}
		if err != nil {
			l.breakOff(submitlink.Unavailable("answer of qmail-spool", err))
			return
		}
	}
}

// answered tells the message whose turn it is.
func (l *pipeline) answered(answer submit.Answer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sent) == 0 && len(l.writing) > 0 && l.broken == nil {
		l.changed.Wait()
	}
	if len(l.sent) == 0 {
		return false
	}
	m := l.sent[0]
	l.sent[0] = nil
	l.sent = l.sent[1:]
	l.setDeadline()
	m.answer = answer
	close(m.done)
	return true
}

// setDeadline bounds the wait for the next answer; the caller holds mu.
func (l *pipeline) setDeadline() {
	deadline := time.Time{}
	if len(l.sent)+len(l.writing) > 0 {
		deadline = time.Now().Add(submitlink.CommitTime)
	}
	_ = l.File.SetReadDeadline(deadline) // fails only if closed, which the reader sees
}

// breakOff ends the pipeline for the reason that was first.
func (l *pipeline) breakOff(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
	_ = l.File.Close() // drops what was not committed, and ends a write that waits
	l.changed.Broadcast()
}

// end tells all that were not answered.
func (l *pipeline) end(err error) {
	if err != nil {
		l.breakOff(err)
	}
	<-l.readEnded
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Concat(l.sent, l.writing) {
		m.err = l.broken
		close(m.done)
	}
	for _, m := range l.waiting {
		m.err = fmt.Errorf("%w: %w", errUnsent, l.broken)
		close(m.done)
	}
	l.sent, l.writing, l.waiting = nil, nil, nil
}
