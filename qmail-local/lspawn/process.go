package lspawn

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/footprint"
	"postrider/internal/priv"
	"postrider/internal/wire/localwork"
)

const (
	workerName = "qmail-local"
	// maxLastWords is how much a dead worker's stderr may fill of our log.
	maxLastWords = 500
	// leaveLimit is how long a worker may take to exit when it is told,
	// lingerLimit how long a dead one's link is read.
	leaveLimit  = 10 * time.Second
	lingerLimit = time.Second
)

// launcher starts workers.
type launcher struct {
	path    string // of qmail-local
	private bool   // everything runs as we do
	null    *os.File
}

// process is a worker's process and the goroutines that serve it.
type process struct {
	link *fdpass.Packets
	proc *os.Process

	mu     sync.Mutex
	reaped bool

	stderr    *os.File
	lastWords strings.Builder
	listening sync.WaitGroup
}

// start runs a worker as id. Its environment is empty: what its programs
// inherit is told to it as data.
func (l *launcher) start(id identity) (*process, error) {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, closing(err, ours)
	}
	defer w.Close()
	attr := &syscall.SysProcAttr{Setsid: true}
	if !l.private {
		// We have no supplementary groups that it could inherit.
		attr.Credential = &syscall.Credential{Uid: id.uid, Gid: id.gid, NoSetGroups: true}
	}
	started := priv.WatchStart()
	proc, err := footprint.StartDaemon(l.path, []string{workerName}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []*os.File{l.null, l.null, w, theirs},
		Sys:   attr,
	})
	started()
	if err != nil {
		return nil, closing(err, ours, r)
	}
	p := &process{proc: proc, stderr: r}
	if p.link, err = fdpass.NewPackets(ours); err != nil {
		p.kill()
		_, _ = proc.Wait() // it was killed: its state says nothing
		return nil, closing(err, ours, r)
	}
	p.listening.Go(p.listen)
	return p, nil
}

func closing(err error, files ...*os.File) error {
	fdpass.CloseAll(files)
	return err
}

// listen keeps the beginning of what the worker writes to stderr.
func (p *process) listen() {
	_, _ = io.Copy(&p.lastWords, io.LimitReader(p.stderr, maxLastWords))
	_, _ = io.Copy(io.Discard, p.stderr)
}

// kill ends the worker and whatever is in its session. It may come at any
// time, also after the end.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return // the number may be another's by now
	}
	// A failure means that it is gone, which wait sees.
	_ = unix.Kill(-p.proc.Pid, unix.SIGKILL)
	killSession(p.proc.Pid)
}

// stopped tells whether a signal has stopped the worker.
func (p *process) stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.reaped && priv.Stopped(p.proc.Pid)
}

// supply sends what is in the outbox until that is closed, and then the end
// of the link: a worker without deliveries exits by itself.
func (p *process) supply(o *outbox) {
	for {
		batch := o.next()
		if len(batch) == 0 {
			time.AfterFunc(leaveLimit, p.kill)
		}
		if len(batch) == 0 || send(p.link, batch) != nil {
			_ = p.link.Close() // ends the receiver as well
			return
		}
	}
}

// wait returns how the worker ended. Afterwards its link and its stderr end,
// even if a process that it has left behind holds them.
//
// One that ends unexpectedly takes its programs with it: their deliveries are
// going to be repeated. That is done before the number can become another's.
func (p *process) wait(expected func() bool) error {
	for unix.Waitid(unix.P_PID, p.proc.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	if !expected() {
		killSession(p.proc.Pid)
	}
	state, err := p.proc.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	limit := time.Now().Add(lingerLimit)
	// Both fail only where the file is closed already.
	_ = p.link.SetDeadline(limit)
	_ = p.stderr.SetReadDeadline(limit)
	p.listening.Wait()
	_ = p.stderr.Close()
	if err == nil && !state.Success() {
		err = fmt.Errorf("%v: %s", state, p.lastWords.String())
	}
	return err
}

// receive hands over every packet of the worker until the link ends.
func (p *process) receive(handle func(packet []byte)) {
	defer p.link.Close()
	buf := make([]byte, localwork.MaxPacket)
	for {
		n, _, err := p.link.Receive(buf, 0)
		if err != nil {
			return
		}
		handle(append([]byte(nil), buf[:n]...))
	}
}
