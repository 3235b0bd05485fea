package qmailremote

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
)

// Exit statuses.
const (
	exitMisused = 100
	exitTrouble = 111
)

const (
	drainFor = 10 * time.Second // deliveries may finish after the parent's end of file
	abortFor = 3 * time.Second  // and then break off
)

// worker serves the link to qmail-send.
type worker struct {
	client *client
	log    *os.File
	sts    *stsLink
	own    *ownCertificate
	seen   *seenLink
	rpt    *reportLink
	jobs   jobCount
	link   *link // the current one; nil before the first
}

func newWorker(c *client, log *os.File) *worker {
	w := &worker{client: c, log: log, sts: newSTSLink(), own: newOwnCertificate(), seen: newSeenLink(c.clock), rpt: newReportLink()}
	c.policies, c.certificate, c.memory, c.reports, c.signer = w.sts, w.own.shown, w.seen, w.rpt, newSigner(c.clock)
	return w
}

// run serves until the control channel ends, then lets the deliveries in hand
// finish. It returns the exit status.
func (w *worker) run(ctx context.Context, channel *parent.Channel) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	status := 0
	if err := channel.Run(func(f parent.Frame) error { return w.frame(ctx, f) }); err != nil {
		warn(w.log, "%v", err)
		status = exitTrouble
	}
	idle := w.jobs.close()
	if !w.wait(idle, drainFor) {
		cancel()
		w.wait(idle, abortFor)
	}
	if w.link != nil {
		w.link.flush()
	}
	return status
}

// wait waits for done and reports whether it came in time.
func (w *worker) wait(done <-chan struct{}, limit time.Duration) bool {
	clock := w.client.clock
	for end := clock.Now().Add(limit); clock.Now().Before(end); {
		wake, stop := clock.At(end)
		select {
		case <-done:
			stop()
			return true
		case <-wake:
		}
	}
	return false
}

// frame takes in what qmail-start sends: a link, which replaces the one before.
func (w *worker) frame(ctx context.Context, f parent.Frame) error {
	if f.Kind != parent.Link {
		if f.File != nil {
			w.pass(f)
		}
		return nil // what concerns other programs
	}
	switch f.Name {
	case parent.MTASTS:
		return w.sts.client.Relink(f.File)
	case parent.TLSSeen:
		return w.seen.client.Relink(f.File)
	case parent.TLSRPT:
		return w.rpt.client.Relink(f.File)
	case parent.Sign:
		return w.takeKey(f.File)
	case parent.DKIM:
		return w.takeDKIM(f.File)
	case parent.Spawn:
	default:
		w.pass(f)
		return nil
	}
	if w.link != nil {
		w.link.end()
	}
	l, err := newLink(ctx, f.File)
	if err != nil {
		return err
	}
	w.link = l
	go w.serve(l)
	return nil
}

// pass does without what is not for this program: while a suite is upgraded, the
// next one may get it.
func (w *worker) pass(f parent.Frame) {
	_ = f.File.Close() // not for us
	warn(w.log, "control channel hands over %s, which is not for qmail-remote", f.Name)
}

// serve takes jobs from a link until it ends. A peer that breaks the protocol
// is logged and dropped.
func (w *worker) serve(l *link) {
	defer l.end()
	buf := make([]byte, spawn.MaxPacket)
	for l.awaitRoom() {
		n, files, err := l.packets.Receive(buf, spawn.MaxJobs)
		switch {
		case err == nil:
			err = w.packet(l, buf[:n], files)
		case errors.Is(err, fdpass.ErrShortage):
			warn(w.log, "link to qmail-send: %v", err)
			err = giveBack(l, buf[:n])
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && l.ctx.Err() == nil {
				warn(w.log, "link to qmail-send: %v", err)
			}
			return
		}
	}
}

// packet starts the deliveries of one packet; each owns its message.
func (w *worker) packet(l *link, packet []byte, files []*os.File) error {
	_, jobs, err := spawn.DecodeJobs(packet)
	if err == nil {
		err = spawn.AttachFiles(jobs, files)
	}
	if err != nil {
		fdpass.CloseAll(files)
		return err
	}
	for i, job := range jobs {
		if !w.jobs.begin() {
			for _, left := range jobs[i:] {
				left.Message.Close() // the end of the link tells qmail-send
			}
			return nil
		}
		size := len(job.Message.Bytes)
		l.begin(size)
		go func() {
			defer w.jobs.end()
			defer l.finish(size)
			defer job.Message.Close()
			l.answer(w.do(l.ctx, job))
		}()
	}
	return nil
}

// giveBack answers the jobs of a packet whose messages were lost.
func giveBack(l *link, packet []byte) error {
	_, jobs, err := spawn.DecodeJobs(packet)
	for _, job := range jobs {
		l.answer(results(job, whole(noResources())))
	}
	return err
}

// do runs one job.
func (w *worker) do(ctx context.Context, job spawn.Job) []spawn.Result {
	b, err := bodyOf(job.Message)
	if err != nil {
		warn(w.log, "message %s: %v", job.ID, err)
		return results(job, whole(unreadable()))
	}
	m := mail{sender: job.Sender, body: b, id: job.ID, facts: job.Facts, relay: job.Relay, probe: job.Probe, recipients: make([]address.Address, len(job.Recipients))}
	for i, r := range job.Recipients {
		m.recipients[i] = r.Address
		if r.Facts != (esmtp.Recipient{}) && m.wishes == nil {
			m.wishes = make([]esmtp.Recipient, len(job.Recipients))
		}
		if m.wishes != nil {
			m.wishes[i] = r.Facts
		}
	}
	o, err := w.client.deliver(ctx, job.Host, m)
	if err != nil {
		warn(w.log, "message %s: %v", job.ID, err)
	}
	return results(job, o)
}

// results is an outcome as qmail-send wants it: one for each delivery, the first
// of which tells of the destination.
func results(job spawn.Job, o outcome) []spawn.Result {
	all := make([]spawn.Result, len(job.Recipients))
	for i, r := range job.Recipients {
		got := o.forRecipient(i)
		class := spawn.Class(got.class)
		if got.class == accepted && got.passedOn {
			class = spawn.PassedOn
		}
		all[i] = spawn.Result{Delivery: r.Delivery, Class: class, Text: got.text}
	}
	all[0].Destination = spawn.Destination{Hosts: o.hosts, Trouble: o.trouble()}
	return all
}

// jobCount counts deliveries in hand.
type jobCount struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// begin counts a delivery, unless the worker is about to end.
func (j *jobCount) begin() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	j.n++
	return true
}

func (j *jobCount) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.n--; j.n == 0 && j.closed {
		close(j.idle)
	}
}

// close lets no further delivery begin and tells when the last has ended.
func (j *jobCount) close() (idle <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.idle = make(chan struct{})
	if j.n == 0 {
		close(j.idle)
	}
	return j.idle
}
