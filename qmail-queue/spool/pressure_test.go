package spool

import (
	"bufio"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// room is a file system as a test wants it.
type room struct{ free, files, messages atomic.Int64 }

func newRoom(free, files int64) *room {
	d := &room{}
	d.free.Store(free)
	d.files.Store(files)
	return d
}

func (d *room) look() (left, error) {
	return left{free: d.free.Load(), all: 1 << 40, files: d.files.Load(), allFiles: 1 << 30}, nil
}

// underPressure gives a spool a disk whose looks are always fresh.
func (q *queue) underPressure(d *room, l limits) {
	q.server.pressure = newPressure(&steps{now: time.Now()}, l, d.look, d.messages.Load, q.log)
}

// steps is a clock on which each look is later than the one before.
type steps struct{ now time.Time }

func (s *steps) Now() time.Time {
	s.now = s.now.Add(time.Second)
	return s.now
}

func (s *steps) At(time.Time) (<-chan time.Time, func()) { panic("nobody waits") }

// Each limit stops mail and lets it in again once an eighth more is there; the
// log says what is short and until when.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		limits       limits
		less, enough func(*room)
		log          string
	}{
		{"bytes", limits{free: 1000, files: 10}, func(d *room) { d.free.Store(999) }, func(d *room) { d.free.Store(1125) },
			"alert: no mail is taken: the queue's disk has room for 999 bytes (control/queueminfree: 1000), until it has for 1125"},
		{"bytes by default", limits{free: -1, files: -1}, func(d *room) { d.free.Store(100<<20 - 1) }, func(d *room) { d.free.Store(120 << 20) },
			"alert: no mail is taken: the queue's disk has room for 104857599 bytes"},
		{"files", limits{free: 1000, files: 100}, func(d *room) { d.files.Store(99) }, func(d *room) { d.files.Store(113) },
			"alert: no mail is taken: the queue's disk has room for 99 files (control/queueminfiles: 100), until it has for 112"},
		{"messages", limits{messages: 80}, func(d *room) { d.messages.Store(80) }, func(d *room) { d.messages.Store(69) },
			"alert: no mail is taken: 80 messages are queued (control/queuemaxmessages: 80), until there are less than 70"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, d := startQueue(t), newRoom(1<<30, 1<<20)
			q.underPressure(d, c.limits)
			f := q.connect()
			in := bufio.NewReader(f)
			send := func() submit.Answer {
				t.Helper()
				if _, err := f.Write(frames("hello\n", "Fa@b\x00Tc@d\x00\x00", newNonce())); err != nil {
					t.Fatal(err)
				}
				a, err := submit.ReadAnswer(in)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			if a := send(); a.Kind != submit.Accepted {
				t.Fatalf("with enough of all: %+v", a)
			}
			c.less(d)
			if a := send(); a.Kind != submit.Temporary || a.ExitCode != exitWrite || !strings.HasSuffix(a.Text, "(#4.3.1)") {
				t.Errorf("with too little: %+v", a)
			}
			if !q.logged(c.log) {
				t.Errorf("the log is %q, want %q", q.lines, c.log)
			}
			c.enough(d)
			if a := send(); a.Kind != submit.Accepted {
				t.Errorf("with enough again: %+v", a)
			}
			if !q.logged("mail is taken again") {
				t.Errorf("the log is %q", q.lines)
			}
		})
	}
}

// Bounces get in, whose messages then leave.
func TestBouncesGetIntoFullQueue(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	q.underPressure(newRoom(1, 1), limits{free: -1, files: -1})
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	q.server.start(&connection{server: q.server, f: ours, from: origin{text: "for bounce", makesRoom: true}, opened: time.Now()})
	if _, err := theirs.Write(frames("hello\n", "F\x00Tc@d\x00\x00", newNonce())); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(theirs)
	if err := submit.ReadGreeting(in); err != nil {
		t.Fatal(err)
	}
	if a, err := submit.ReadAnswer(in); err != nil || a.Kind != submit.Accepted {
		t.Errorf("%+v, %v", a, err)
	}
}

// Who listens is told once, and again what could not be said.
func TestFullIsTold(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	spool, err := fdpass.NewPackets(a)
	if err != nil {
		t.Fatal(err)
	}
	smtpd, err := fdpass.NewPackets(b)
	if err != nil {
		t.Fatal(err)
	}
	var l hearers
	l.tell(true)
	l.add(spool)
	l.tell(true)
	l.tell(false)
	for range 1 << 12 { // nobody reads: the socket is full at some time
		l.tell(true)
		l.tell(false)
	}
	l.tell(true)
	heard := make(chan []bool)
	go func() {
		var all []bool
		_ = submit.HearFull(smtpd, func(full bool) { all = append(all, full) })
		heard <- all
	}()
	for done := false; !done; time.Sleep(time.Millisecond) {
		l.tell(true)
		l.mu.Lock()
		done = l.said[spool]
		l.mu.Unlock()
	}
	spool.Close()
	all := <-heard
	if len(all) < 3 || !all[0] || all[1] || !all[len(all)-1] {
		t.Errorf("heard %v", all[:min(len(all), 5)])
	}
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			t.Fatalf("%v is said twice", all[i])
		}
	}
	l.remove(spool)
	l.tell(false)
}

func TestReadLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if l, err := readLimits(control.Dir(dir)); err != nil || l != (limits{-1, -1, 0}) {
		t.Errorf("without files: %+v, %v", l, err)
	}
	d := left{free: 1, all: 1000, files: 1, allFiles: 0}
	p := newPressure(nil, limits{-1, -1, 0}, func() (left, error) { return d, nil }, func() int64 { return 0 }, func(string) {})
	if why := p.short(false); !strings.Contains(why, "1 bytes (control/queueminfree: 20)") {
		t.Errorf("a small disk: %q", why)
	}
	d.free = 20
	if why := p.short(false); why != "" {
		t.Errorf("a file system without a number of files: %q", why)
	}
}
