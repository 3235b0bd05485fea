package killtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/operator"
	"postrider/internal/testhost"
)

const (
	smtpClients = 4 // and half as many who log in with TLS
	callers     = 2 // of sendmail, and as many of qmail-queue
	sender      = "load@" + here
	// enough is how many messages may be queued before clients wait: a kill
	// shall meet a suite at work, and the end of an epoch not a mountain.
	enough = 60
)

// load sends messages until it is stopped.
type load struct {
	t    *testing.T
	host *site
	book *ledger.Ledger
	name string // of the epoch, in ids
	seed uint64

	ctx      context.Context
	stop     context.CancelFunc
	senders  sync.WaitGroup
	numbers  atomic.Int64
	acked    atomic.Int64
	answered chan struct{} // a yes was read
	queued   atomic.Int64
}

func newLoad(t *testing.T, h *site, book *ledger.Ledger, name string, seed uint64) *load {
	l := &load{t: t, host: h, book: book, name: name, seed: seed, answered: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(t.Context())
	return l
}

func (l *load) start() {
	l.host.sink.SetScript(operator.Closed)
	l.senders.Go(l.gauge)
	for range smtpClients {
		l.senders.Go(func() { l.run("smtp", l.bySMTP) })
	}
	for range smtpClients / 2 {
		l.senders.Go(func() { l.run("submission", l.bySubmission) })
	}
	for range callers {
		l.senders.Go(func() { l.run("sendmail", l.bySendmail) })
		l.senders.Go(func() { l.run("queue", l.byQueue) })
	}
	for range operators {
		l.senders.Go(l.operate)
	}
	l.startServices()
}

// end stops the clients; what they have begun is finished. What waits is taken.
func (l *load) end() {
	l.stop()
	l.senders.Wait()
	l.host.sink.SetScript(nil)
}

// gauge looks how much is queued. Kills put off what they hit twice for
// minutes: when that is all there is, the scheduler is told to try it now.
func (l *load) gauge() {
	told := time.Now()
	for l.ctx.Err() == nil {
		n := len(l.host.Queue())
		l.queued.Store(int64(n))
		if p := l.host.Suite(); n > enough/2 && p != nil && time.Since(told) > time.Second {
			told = time.Now()
			_ = p.Signal(syscall.SIGALRM) // it may have been killed
		}
		pause(l.ctx, 50*time.Millisecond)
	}
}

func (l *load) run(via string, send func(context.Context, ledger.Intent, string)) {
	r := rand.New(rand.NewPCG(l.seed, uint64(l.numbers.Add(1))))
	for l.ctx.Err() == nil {
		if l.queued.Load() > enough {
			pause(l.ctx, 20*time.Millisecond)
			continue
		}
		l.one(via, send, recipients(r), r)
	}
}

func (l *load) one(via string, send func(context.Context, ledger.Intent, string), to []string, r *rand.Rand) {
	id := fmt.Sprintf("%s-%s-%d", l.name, via, l.numbers.Add(1))
	text, hash := ledger.Compose(id, sender, to[0], size(r, len(to)))
	in := ledger.Intent{ID: id, Via: via, Sender: sender, Recipients: to, Hash: hash}
	l.book.Intend(in)
	// Not l.ctx: what has begun at the end of the load is finished.
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	send(ctx, in, text)
}

func (l *load) ack(id string, recipients int) {
	l.book.Ack(id)
	l.acked.Add(int64(recipients))
	select {
	case l.answered <- struct{}{}:
	default:
	}
}

func (l *load) bySMTP(ctx context.Context, in ledger.Intent, text string) {
	if !l.trySMTP(ctx, in, text, plainly) {
		pause(l.ctx, 10*time.Millisecond)
	}
}

// bySubmission sends as a user's program does: encrypted and logged in.
func (l *load) bySubmission(ctx context.Context, in ledger.Intent, text string) {
	if !l.trySMTP(ctx, in, text, submission) {
		pause(l.ctx, 10*time.Millisecond)
	}
}

func plainly(*testhost.Client) error { return nil }

func submission(c *testhost.Client) error {
	if err := c.StartTLS(); err != nil {
		return err
	}
	return c.Login("load", password)
}

// trySMTP reports whether the message was taken. What comes between hello and
// MAIL is given.
func (l *load) trySMTP(ctx context.Context, in ledger.Intent, text string, prelude func(*testhost.Client) error) bool {
	return l.trySMTPFrom(ctx, l.host.Host, in, text, prelude)
}

func (l *load) trySMTPFrom(ctx context.Context, from *testhost.Host, in ledger.Intent, text string, prelude func(*testhost.Client) error) bool {
	c, err := from.SMTP(ctx, l.host.IP.String()+":25")
	if err != nil {
		l.book.Nack(in.ID, 0) // not a byte of the message was sent
		return false
	}
	defer c.Close()
	if err := prelude(c); err != nil {
		l.book.Nack(in.ID, 0)
		return false
	}
	err = c.Send(in.Sender, in.Recipients, text)
	var reply *testhost.Reply
	switch {
	case err == nil:
		l.ack(in.ID, len(in.Recipients))
		return true
	case errors.As(err, &reply):
		l.book.Nack(in.ID, reply.Code)
	default:
		l.book.Unknown(in.ID)
	}
	return false
}

func (l *load) bySendmail(ctx context.Context, in ledger.Intent, text string) {
	argv := append([]string{"/usr/sbin/sendmail", "-f", in.Sender}, in.Recipients...)
	r, err := l.host.Run(ctx, testhost.Command{Argv: argv, User: "load", Stdin: text})
	l.exit(in, r, err)
}

// byQueue hands the message to qmail-queue as a program does that composes
// its own envelopes.
func (l *load) byQueue(ctx context.Context, in ledger.Intent, text string) {
	envelope := "F" + in.Sender + "\x00"
	for _, to := range in.Recipients {
		envelope += "T" + to + "\x00"
	}
	message, err := piped(text)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer message.Close()
	addresses, err := piped(envelope + "\x00")
	if err != nil {
		l.t.Error(err)
		return
	}
	defer addresses.Close()
	p, err := l.host.Start(testhost.Command{
		Argv: []string{"/var/qmail/bin/qmail-queue"}, User: "load", Files: []*os.File{message, addresses},
	})
	if err != nil {
		l.book.Nack(in.ID, 0)
		return
	}
	r, err := p.Wait(ctx)
	l.exit(in, r, err)
}

// exit notes how a program ended. One that was killed said nothing.
func (l *load) exit(in ledger.Intent, r testhost.Result, err error) {
	switch {
	case err != nil || r.Code < 0:
		l.book.Unknown(in.ID)
	case r.Code == 0:
		l.ack(in.ID, len(in.Recipients))
	default:
		l.book.Nack(in.ID, r.Code)
		pause(l.ctx, 10*time.Millisecond)
	}
}

// piped returns a pipe that delivers text.
func piped(text string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		// A program that does not read it all has failed by itself.
		_, _ = io.Copy(w, strings.NewReader(text))
		w.Close()
	}()
	return r, nil
}

// pause waits a moment before something that nobody announces.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
