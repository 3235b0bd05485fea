package filter

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/milter"
	"postrider/internal/scratch"
	"postrider/internal/tcprules"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

const (
	// maxConnections is how many messages are on their way in or wait.
	maxConnections = 1536
	// maxScratch is the most bytes that all of them have.
	maxScratch = 2 << 30
	// turnTime is how long a complete message waits to be the next.
	turnTime = 4 * time.Minute
	// drainTime is how long programs may go on when the daemon is told to stop;
	// killTime then is for their end to be seen.
	drainTime = 8 * time.Second
	killTime  = time.Second
)

// log is where lines go: *logline.Writer.
type log interface {
	Line(s string)
	Status(s string) // may be lost
}

// daemon serves qmail-smtpd.
type daemon struct {
	settings
	home    string
	log     log
	rules   *control.Cached[tcprules.Set]
	milters *control.Cached[[]milter.Milter]
	scratch *scratch.Dir
	places  chan struct{} // of connections
	turns   chan struct{} // of programs
	stopped chan struct{} // closed: programs are killed
	running sync.WaitGroup
	drain   time.Duration // drainTime
	// replaced is called once another process serves qmail-smtpd.
	replaced  func()
	accepting sync.WaitGroup // of connections from it
	left      atomic.Bool    // nothing is left to do

	mu      sync.Mutex
	environ []string // that qmail-start was called with
	ending  bool     // what is running is waited for: nothing may be added to it
}

func newDaemon(home string, s settings, l log) *daemon {
	dir := control.Dir(filepath.Join(home, "control"))
	return &daemon{
		settings: s, home: home, log: l,
		rules: control.NewCached(dir, []string{"tcp.smtp", "tcp.smtp.cdb"}, func() (tcprules.Set, error) {
			return tcprules.Load(dir)
		}),
		milters: control.NewCached(dir, []string{"milters"}, func() ([]milter.Milter, error) { return loadMilters(dir) }),
		scratch: scratch.At(filepath.Join(home, "filter"), maxScratch),
		places:  make(chan struct{}, maxConnections),
		turns:   make(chan struct{}, s.concurrency),
		stopped: make(chan struct{}),
		drain:   drainTime,
	}
}

// run serves until the control channel ends; then it lets programs finish.
func (d *daemon) run(channel *parent.Channel) error {
	d.replaced = func() {
		d.accepting.Wait() // qmail-smtpd has the channel of another one now
		d.running.Wait()
		d.left.Store(true)
		_ = channel.Close() // it is over
	}
	err := channel.Run(d.frame)
	if d.left.Load() {
		return nil
	}
	d.end()
	if !d.wait(d.drain) {
		close(d.stopped)
		d.wait(killTime)
	}
	return err
}

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Environment:
		d.mu.Lock()
		d.environ = parent.DecodeEnvironment(f.Data)
		d.mu.Unlock()
	case f.Kind == parent.Link && f.Name == parent.FilterSMTPD:
		link, err := fdpass.NewPackets(f.File)
		if err != nil {
			_ = f.File.Close() // was only received
			return err
		}
		d.accepting.Go(func() { d.accept(link) })
	case f.Kind == parent.Drain:
		go d.replaced()
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log.Line(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-filter")
	}
	return nil
}

// accept takes the connections of a link until its peer is gone.
func (d *daemon) accept(link *fdpass.Packets) {
	defer link.Close()
	for {
		conn, err := submit.ReceiveConnection(link)
		switch {
		case errors.Is(err, fdpass.ErrShortage):
			d.log.Line(logPrefix + "warning: " + err.Error()) // the peer sees it end
			continue
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			d.log.Line(logPrefix + "warning: qmail-smtpd breaks the protocol: " + err.Error())
			return
		}
		d.open(conn)
	}
}

func (d *daemon) open(conn *os.File) {
	select {
	case d.places <- struct{}{}:
	default:
		_ = conn.Close() // refused; nothing was said
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ending {
		<-d.places
		_ = conn.Close() // refused; nothing was said
		return
	}
	d.running.Go(func() {
		defer func() { <-d.places }()
		d.serve(conn)
	})
}

// end refuses what comes from now on.
func (d *daemon) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ending = true
}

// wait waits until no message is there any more, or for the given time.
func (d *daemon) wait(limit time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		d.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}
