package spool

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/submit"
)

const (
	answerWait = time.Minute // for a client that does not read
	// maxUnanswered is how many messages of one connection are being
	// committed at a time; beyond that no more of it is read.
	maxUnanswered = 64
)

// answers sends the answers of one connection in the order of its messages,
// all that are ready in one write.
type answers struct {
	f    *os.File
	rest func(bool) // told whether the connection waits and all is answered
	lose func()     // told that an answer cannot be sent

	mu      sync.Mutex
	changed sync.Cond
	waiting []*answer // of messages in their order; nil frames are not known yet
	sending bool
	waits   bool // the connection waits for the next message
	lost    bool // the client does not read: it gets no more answers
}

// answer is that of one message.
type answer struct{ frame []byte }

func newAnswers(f *os.File, rest func(bool), lose func()) *answers {
	a := &answers{f: f, rest: rest, lose: lose}
	a.changed.L = &a.mu
	return a
}

// next returns how the next message is answered, once that may begin.
func (a *answers) next() func(submit.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) >= maxUnanswered {
		a.changed.Wait()
	}
	place := &answer{}
	a.waiting = append(a.waiting, place)
	return func(said submit.Answer) {
		a.mu.Lock()
		defer a.mu.Unlock()
		place.frame = submit.AppendAnswer(nil, said)
		if !a.sending {
			a.sending = true
			go a.run()
		}
	}
}

// run sends until the next answer is not known.
func (a *answers) run() {
	for frames := a.ready(); len(frames) > 0; frames = a.ready() {
		if a.lost {
			a.lose()
			continue
		}
		// What cannot be told is known by its nonce when it comes again, and it
		// comes again only if the client sees that there will be no answer.
		if a.lost = a.send(frames) != nil; a.lost {
			a.lose()
			a.end()
		}
	}
}

// ready takes the answers that are known, in order; none end the sending.
func (a *answers) ready() (frames []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for n < len(a.waiting) && a.waiting[n].frame != nil {
		frames = append(frames, a.waiting[n].frame...)
		n++
	}
	a.waiting = a.waiting[n:]
	a.sending = n > 0
	a.changed.Broadcast()
	if !a.sending && len(a.waiting) == 0 && a.waits {
		a.rest(true)
	}
	return frames
}

// idle notes whether the connection waits for the next message.
func (a *answers) idle(waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits = waits
	a.rest(waits && !a.sending && len(a.waiting) == 0)
}

// wait returns when everything is answered.
func (a *answers) wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.sending || len(a.waiting) > 0 {
		a.changed.Wait()
	}
}

func (a *answers) send(frames []byte) error {
	if err := a.f.SetWriteDeadline(time.Now().Add(answerWait)); err != nil {
		return err
	}
	_, err := a.f.Write(frames)
	return err
}

// end shows the client that no answer comes. What it sent until then is read
// all the same: who leaves without waiting for answers has its messages sent.
func (a *answers) end() {
	if closeWrite(a.f) != nil {
		_ = a.f.Close() // there is no half of it to close
	}
}

// closeWrite sends the end of the stream and leaves the way back open.
func closeWrite(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var shutErr error
	err = raw.Control(func(fd uintptr) { shutErr = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, shutErr)
}
