package sessions

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
)

// visit is a session that reads until it is interrupted, and then has work to do
// if it is busy.
type visit struct {
	busy bool
	end  error
	done chan struct{} // what it has to do is done
}

func (v *visit) Interruptible() bool { return !v.busy }

// office is a set with its listener, and qmail-start's end of its channel.
type office struct {
	*Set
	t       *testing.T
	end     *End
	addr    string
	channel *parent.Channel
	status  chan error

	busy   atomic.Bool // who comes next
	visits chan *visit
}

func newOffice(t *testing.T, drain time.Duration) *office {
	t.Helper()
	o := &office{t: t, end: &End{}, status: make(chan error, 1), visits: make(chan *visit, 1000)}
	o.Set = New(o.end, clock.Real(), func(text string) { t.Errorf("warning: %s", text) })
	o.Drain = drain
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if o.channel, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.channel.Close() })
	inherited, err := parent.NewChannel(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Listen(o.socket(), o.take); err != nil {
		t.Fatal(err)
	}
	go func() { o.status <- o.Run(inherited, func(parent.Frame) error { return errors.New("not for it") }) }()
	return o
}

func (o *office) socket() *os.File {
	o.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	defer l.Close()
	o.addr = l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		o.t.Fatal(err)
	}
	return f
}

// take serves what comes.
func (o *office) take(c net.Conn) {
	v := &visit{busy: o.busy.Load(), done: make(chan struct{})}
	o.Enroll(v, c)
	o.visits <- v
	o.Go(func() {
		defer o.Close(v)
		c.Write([]byte("hello"))
		buf := make([]byte, 1)
		for {
			if _, v.end = c.Read(buf); v.end != nil {
				break
			}
			if o.end.Stopping.Load() {
				break
			}
		}
		close(v.done)
	})
}

// visit opens a session and waits until it is there.
func (o *office) visit(busy bool) (*visit, net.Conn) {
	o.t.Helper()
	o.busy.Store(busy)
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { c.Close() })
	if _, err := c.Read(make([]byte, 5)); err != nil {
		o.t.Fatal(err)
	}
	return <-o.visits, c
}

// TestEnd: who waits is interrupted, who is busy finishes (invariant 2).
func TestEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Hour)
	waits, _ := o.visit(false)
	works, c := o.visit(true)
	o.channel.Close()
	<-o.end.Ending
	<-waits.done
	if !errors.Is(waits.end, os.ErrDeadlineExceeded) {
		t.Errorf("who waits: %v", waits.end)
	}
	if _, err := net.Dial("tcp", o.addr); err == nil {
		t.Error("somebody else comes in")
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-o.status; err != nil || works.end != nil || o.end.CutOff.Load() {
		t.Errorf("%v; who is busy: %v", err, works.end)
	}
}

// TestCutOff: what is left after the time to finish ends (invariant 2).
func TestCutOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Millisecond)
	works, _ := o.visit(true)
	o.channel.Close()
	if err := <-o.status; err != nil {
		t.Error(err)
	}
	<-works.done
	if !errors.Is(works.end, os.ErrDeadlineExceeded) || !o.end.CutOff.Load() {
		t.Errorf("who is busy: %v", works.end)
	}
}

// TestSuccessor: clients are served to the end by whom they came to (invariant 3).
func TestSuccessor(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Millisecond)
	waits, c := o.visit(false)
	if sent, err := o.channel.Send(parent.Frame{Kind: parent.Drain}); err != nil || !sent {
		t.Fatalf("%v, %v", sent, err)
	}
	for { // until nobody listens
		other, err := net.Dial("tcp", o.addr)
		if err != nil {
			break
		}
		other.Close()
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-o.status; err != nil || o.end.Stopping.Load() || errors.Is(waits.end, os.ErrDeadlineExceeded) {
		t.Errorf("%v; who waits: %v", err, waits.end)
	}
}

// poor is a listener without descriptors for a while; then one client comes.
type poor struct {
	net.Listener
	short  int
	client net.Conn
}

func (p *poor) Accept() (net.Conn, error) {
	if p.short--; p.short >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", unix.EMFILE)}
	}
	if c := p.client; c != nil {
		p.client = nil
		return c, nil
	}
	return nil, net.ErrClosed
}

// R61: service returns by itself when descriptors do.
func TestAcceptRecovers(t *testing.T) {
	t.Parallel()
	var end End
	var warnings []string
	s := New(&end, clock.Real(), func(text string) { warnings = append(warnings, text) })
	c, client := net.Pipe()
	defer client.Close()
	served := 0
	s.accept(&poor{short: 3, client: c}, func(c net.Conn) {
		served++
		c.Close()
		end.Stopping.Store(true)
	})
	if served != 1 || len(warnings) != 3 || !strings.HasPrefix(warnings[0], "accept: ") {
		t.Errorf("%d clients served; %q", served, warnings)
	}
}
