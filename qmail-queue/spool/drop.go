package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"postrider/internal/durable"
	"postrider/internal/figures"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// Limits of drop/, where anybody may leave anything.
const (
	dropInterval   = time.Minute
	dropPause      = time.Second // between passes while there is more
	dropMinPause   = 100 * time.Millisecond
	dropFilesByUID = 50 // in one pass
	dropBytesByUID = 64 << 20
	// maxPendingNonces bounds what one search of new/ looks for.
	maxPendingNonces = 20000
	// maxTold bounds the names about which the log was told.
	maxTold = 1000
)

// dropbox takes in what programs of users left in drop/. Everything there is
// hostile: a file is copied through the ordinary commit, never moved into the
// queue.
type dropbox struct {
	store  *Store
	server *server
	log    func(string)
	wake   <-chan struct{} // something was put there
	stop   <-chan struct{} // closed when no more is taken in
	begun  time.Time

	held    map[string]entries.Message // committed, but the file resists
	checked map[queuedir.Nonce]bool    // looked for in new/
	found   map[nonceKey]bool          // and found there
	told    map[string]bool
}

func newDropbox(s *server, wake <-chan struct{}) *dropbox {
	return &dropbox{
		store: s.store, server: s, log: s.log, wake: wake, begun: s.store.clock.Now(),
		held:    make(map[string]entries.Message),
		checked: make(map[queuedir.Nonce]bool),
		told:    make(map[string]bool),
	}
}

// run takes in what is there, at start, when something comes, and every minute.
func (b *dropbox) run(stop <-chan struct{}) {
	b.stop = stop
	if err := b.settleFormer(); err != nil {
		b.log("warning: drop: messages may come twice: " + firstLine(err))
	}
	b.store.openToQueries()
	for {
		pause := dropInterval
		if b.pass() && b.pass() { // the first may only have searched new/
			pause = dropPause
		}
		// A stranger who makes events all the time does not keep us busy.
		if !sleep(stop, dropMinPause, nil) || !sleep(stop, pause, b.wake) {
			return
		}
	}
}

// sleep returns after d or when woken; false means stop.
func sleep(stop <-chan struct{}, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// pass is one look at all of drop/.
type pass struct {
	*dropbox
	settles      bool // it takes nothing in
	files, bytes map[uint32]int64
	more         bool // some were left for the next pass
	pending      map[queuedir.Nonce]bool
	oldest       time.Time // of the files whose nonces are pending
}

var errLater = errors.New("left for the next pass")

func (b *dropbox) isStopping() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

func (b *dropbox) newPass(settles bool) *pass {
	return &pass{
		dropbox: b, settles: settles, files: make(map[uint32]int64), bytes: make(map[uint32]int64),
		pending: make(map[queuedir.Nonce]bool), oldest: b.store.clock.Now(),
	}
}

// settleFormer removes the files whose messages a former process has committed,
// durably, before the scheduler may have these entries: of one that is delivered
// and removed nothing says that the file, which another crash can bring back, is
// the same message.
func (b *dropbox) settleFormer() error {
	look := b.newPass(true)
	err := b.store.each(layout.Drop(), look.visit)
	if len(look.pending) == 0 {
		return err
	}
	err = errors.Join(err, b.search(look.pending, look.since()))
	if len(b.found) == 0 {
		return err
	}
	ticket := b.store.group.Begin()
	err = errors.Join(err, b.store.each(layout.Drop(), b.newPass(true).visit))
	return errors.Join(err, b.store.group.Wait(ticket, nil, b.store.dir(layout.Drop())))
}

// since is from when on entries may be those of files that are pending.
func (p *pass) since() time.Time { return p.oldest.Add(-connectionLife - time.Hour) }

// pass takes in what is there, and tells whether there is more.
func (b *dropbox) pass() bool {
	p := b.newPass(false)
	for name, m := range b.held {
		if err := b.finish(name, m); err != nil {
			b.log("warning: drop: " + err.Error())
		}
	}
	if b.server.pressure.full() || b.isStopping() {
		return false
	}
	err := b.store.each(layout.Drop(), p.visit)
	if err != nil {
		b.log("warning: drop: " + firstLine(err))
	}
	if len(p.pending) == 0 || p.more {
		return p.more
	}
	if err := b.search(p.pending, p.since()); err != nil {
		b.log("warning: drop: " + firstLine(err))
		return false
	}
	return true
}

// visit deals with one name. Errors are ours and temporary.
func (p *pass) visit(name string) error {
	base := name[len(layout.Drop())+1:]
	if _, held := p.held[base]; held || p.isStopping() {
		return nil
	}
	if p.settles && len(p.pending) >= maxPendingNonces { // a flood does not hold up the start
		return nil
	}
	if !queuedir.IsDropName(base) {
		return p.expireOther(name)
	}
	f, err := p.store.tree.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil && isForeign(err):
		return p.discard(name, "cannot be opened: "+err.Error())
	case err != nil:
		return err
	}
	defer f.Close() // only read from
	info, err := f.Info()
	if err != nil {
		return err
	}
	if !info.Regular || info.Links != 1 {
		return p.discard(name, "is not a file with one name")
	}
	if err := p.take(base, f, info); err != errLater {
		return err
	}
	return nil
}

// expireOther removes what is no complete drop and too old to become one.
func (p *pass) expireOther(name string) error {
	info, err := p.store.tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.store.clock.Now().Sub(info.ChangeTime) < staleAge {
		return nil
	}
	return p.discard(name, "is left behind")
}

// isForeign tells what no program of ours left from trouble of the machine's,
// which says nothing about the file: only what is known to be no message of ours
// may be removed.
func isForeign(err error) bool {
	for _, e := range []error{syscall.ELOOP, syscall.EXDEV, syscall.EACCES, syscall.ENXIO, syscall.ENODEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// overLimit counts a file against its owner's share of this pass. The first is
// always taken.
func (p *pass) overLimit(info durable.Info) bool {
	if p.files[info.UID] >= dropFilesByUID || p.files[info.UID] > 0 && p.bytes[info.UID]+info.Size > dropBytesByUID {
		return true
	}
	p.files[info.UID]++
	p.bytes[info.UID] += info.Size
	return false
}

// discard removes what no program of ours made. What resists, such as a
// directory, is told once.
func (b *dropbox) discard(name, why string) error {
	err := b.store.unlink(name)
	if err == nil {
		b.log("warning: " + name + " " + why + ": removed")
		return nil
	}
	if !b.told[name] && len(b.told) < maxTold {
		b.told[name] = true
		b.log("warning: " + name + " " + why + ", and cannot be removed: " + err.Error())
	}
	return nil
}

// setAside keeps what might have been somebody's message. What no program of
// ours can have acknowledged expires.
func (b *dropbox) setAside(base, why string, expires bool) error {
	dir := layout.Bad()
	if expires {
		dir = layout.BadUnacked()
	}
	from := layout.Drop() + "/" + base
	err := b.store.move(from, dir+"/drop."+base)
	if errors.Is(err, fs.ErrExist) {
		return b.discard(from, why+", like one before of the same name")
	}
	if err == nil {
		b.log("warning: " + from + " " + why + ", moved into " + dir)
	}
	return err
}

// take copies one file into the queue.
func (p *pass) take(base string, f durable.File, info durable.Info) error {
	footer, raw, err := queuedir.ReadDropFooter(f, info.Size, info.Stored)
	if err != nil {
		if errors.Is(err, queuedir.ErrDropFooter) {
			return p.setAside(base, err.Error(), true)
		}
		return err
	}
	key := nonceKey{footer.Nonce, info.UID}
	if p.found[key] {
		return p.store.unlink(layout.Drop() + "/" + base)
	}
	if p.mustSearch(footer, info) || p.settles {
		return errLater
	}
	if p.overLimit(info) {
		p.more = true
		return errLater
	}
	switch state, _ := p.store.recent.claim(key); state {
	case nonceBusy:
		return errLater
	case nonceCommitted:
		return p.store.unlink(layout.Drop() + "/" + base)
	}
	m, err := p.copy(f, info, footer, raw)
	if err != nil {
		p.store.recent.abandon(key)
		return p.judge(base, err)
	}
	p.store.recent.fulfil(key, m.ID)
	p.held[base] = m
	return p.finish(base, m)
}

// judge tells a message that can never be accepted from trouble of ours.
func (p *pass) judge(base string, err error) error {
	var r *refusal
	switch {
	case errors.Is(err, queuedir.ErrDamaged):
		return p.setAside(base, err.Error(), false)
	case errors.As(err, &r) && r.err == nil:
		return p.setAside(base, "is refused: "+err.Error(), true)
	}
	return err
}

// copy commits the message in f. The file must not change meanwhile.
func (p *pass) copy(f durable.File, info durable.Info, footer queuedir.DropFooter, raw []byte) (entries.Message, error) {
	d, err := p.store.begin(origin{uid: info.UID, text: p.server.who(info.UID), via: figures.ViaLocal})
	if err != nil {
		return entries.Message{}, err
	}
	in := io.NewSectionReader(f, 0, footer.BodySize+footer.EnvelopeSize)
	crc, err := transfer(in, footer.BodySize, 0, d.writeText)
	if err == nil {
		crc, err = transfer(in, footer.EnvelopeSize, crc, d.writeEnvelope)
	}
	if err == nil && !footer.Checks(crc, raw) {
		err = fmt.Errorf("%w: checksum", queuedir.ErrDamaged)
	}
	if err == nil {
		err = unchanged(f, info)
	}
	if err != nil {
		d.abort()
		return entries.Message{}, err
	}
	type result struct {
		m   entries.Message
		err error
	}
	committed := make(chan result, 1)
	d.commit(footer.Nonce, func(m entries.Message, err error) { committed <- result{m, err} })
	r := <-committed
	return r.m, r.err
}

// transfer gives n bytes to take and adds them to the checksum.
func transfer(in io.Reader, n int64, crc uint32, take func([]byte) error) (uint32, error) {
	buf := make([]byte, 32<<10)
	for n > 0 {
		got, err := io.ReadFull(in, buf[:min(n, int64(len(buf)))])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return 0, errLater // it became shorter
		}
		if err != nil {
			return 0, err
		}
		crc = queuedir.Checksum(crc, buf[:got])
		if err := take(buf[:got]); err != nil {
			return 0, err
		}
		n -= int64(got)
	}
	return crc, nil
}

func unchanged(f durable.File, before durable.Info) error {
	after, err := f.Info()
	if err == nil && (after.Size != before.Size || after.Links != 1 || !after.ModTime.Equal(before.ModTime)) {
		err = errLater
	}
	return err
}

// finish removes the file of a committed message, and announces the message
// once that is durable: a crash must not bring the file back when the entry
// with its nonce is already delivered.
func (b *dropbox) finish(base string, m entries.Message) error {
	ticket := b.store.group.Begin()
	if err := b.store.unlink(layout.Drop() + "/" + base); err != nil {
		return err
	}
	if err := b.store.group.Wait(ticket, nil, b.store.dir(layout.Drop())); err != nil {
		return err
	}
	delete(b.held, base)
	b.store.settled(m.ID)
	b.server.announce(m)
	return nil
}
