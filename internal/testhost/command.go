package testhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Command is a program to run in a host.
type Command struct {
	Argv  []string
	User  string // an account of the host; root if empty
	Stdin string
	Env   []string // added to PATH, HOME, USER, LOGNAME, LC_ALL, TMPDIR
	Dir   string
	Files []*os.File // descriptors 0, 1, ... of Start; Run has its own
}

// Result is how a program ended.
type Result struct {
	Code   int // exit code, or -1 after a signal
	Signal syscall.Signal
	Stdout string
	Stderr string
}

func (r Result) String() string {
	end := fmt.Sprintf("exit code %d", r.Code)
	if r.Code < 0 {
		end = fmt.Sprintf("killed by %v", r.Signal)
	}
	return fmt.Sprintf("%s\nstdout: %s\nstderr: %s", end, r.Stdout, r.Stderr)
}

// Process is a program that was started in a host.
type Process struct {
	PID int // as the host numbers it

	host   *Host
	ended  chan struct{}
	status syscall.WaitStatus
	err    error
}

// Start starts a program with the descriptors c.Files, which stay the
// caller's and are made blocking, as programs expect them. Nothing is captured.
func (h *Host) Start(c Command) (*Process, error) {
	for _, f := range c.Files {
		f.Fd() // makes it blocking
	}
	req := request{Start: &startRequest{Argv: c.Argv, Env: c.Env, Dir: c.Dir, User: c.User}}
	replies, done, err := h.agent.ask(req, c.Files...)
	if err != nil {
		return nil, err
	}
	first, ok := <-replies
	if !ok {
		return nil, errHostGone
	}
	if first.Err != "" {
		done()
		return nil, fmt.Errorf("%s: %s", h.Name, first.Err)
	}
	p := &Process{PID: first.PID, host: h, ended: make(chan struct{})}
	go func() {
		defer done()
		last, ok := <-replies
		p.status = syscall.WaitStatus(last.Status)
		if !ok {
			p.err = errHostGone
		}
		close(p.ended)
	}()
	return p, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end of the process; exit codes are no errors.
func (p *Process) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	if p.err != nil {
		return Result{}, p.err
	}
	if p.status.Signaled() {
		return Result{Code: -1, Signal: p.status.Signal()}, nil
	}
	return Result{Code: p.status.ExitStatus()}, nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(sig syscall.Signal) error { return p.host.signal(p.PID, sig) }

// SignalGroup sends a signal to the process and what it started.
func (p *Process) SignalGroup(sig syscall.Signal) error { return p.host.signal(-p.PID, sig) }

func (h *Host) signal(pid int, sig syscall.Signal) error {
	return h.agent.do(request{Signal: &signalOrder{PID: pid, Signal: int(sig)}})
}

// Run runs a program to its end. When ctx ends before, the program and what
// it started are killed and the error is ctx's.
func (h *Host) Run(ctx context.Context, c Command) (Result, error) {
	stdio, err := newCapture(c.Stdin)
	if err != nil {
		return Result{}, err
	}
	c.Files = stdio.theirs
	p, err := h.Start(c)
	stdio.closeTheirs()
	if err != nil {
		stdio.finish()
		return Result{}, err
	}
	result, err := p.Wait(ctx)
	if err != nil {
		// Gone already is as good.
		_ = p.SignalGroup(syscall.SIGKILL)
		stdio.finish()
		return Result{}, fmt.Errorf("%s: %s: %w", h.Name, strings.Join(c.Argv, " "), err)
	}
	result.Stdout, result.Stderr = stdio.finish()
	return result, nil
}

// Must runs a program as root and returns its output; any other end than exit
// code 0 fails the test.
func (h *Host) Must(argv ...string) string {
	h.t.Helper()
	return h.MustRun(Command{Argv: argv})
}

// MustRun is Must for a Command.
func (h *Host) MustRun(c Command) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(contextOf(h.t), patience)
	defer cancel()
	result, err := h.Run(ctx, c)
	if err != nil {
		h.t.Fatal(err)
	}
	if result.Code != 0 {
		h.t.Fatalf("%s: %s: %v", h.Name, strings.Join(c.Argv, " "), result)
	}
	return result.Stdout
}

// contextOf is t's context; during clean-up, when that one has ended already,
// a fresh one.
func contextOf(t testing.TB) context.Context {
	if ctx := t.Context(); ctx.Err() == nil {
		return ctx
	}
	return context.Background()
}

// capture holds the pipes of a program's standard files.
type capture struct {
	theirs         []*os.File
	stdout, stderr bytes.Buffer
	ours           []*os.File
	copying        sync.WaitGroup
}

func newCapture(stdin string) (*capture, error) {
	c := &capture{}
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	errR, errW, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	c.theirs = []*os.File{inR, outW, errW}
	c.ours = []*os.File{outR, errR}
	c.copying.Go(func() {
		// A program that does not read its input is no failure.
		_, _ = io.WriteString(inW, stdin)
		inW.Close()
	})
	for i, buffer := range []*bytes.Buffer{&c.stdout, &c.stderr} {
		c.copying.Go(func() { _, _ = io.Copy(buffer, c.ours[i]) })
	}
	return c, nil
}

func (c *capture) closeTheirs() {
	for _, f := range c.theirs {
		f.Close()
	}
}

// finish waits until nobody holds the pipes any more. A background child of
// the program that keeps them is not waited for long.
func (c *capture) finish() (stdout, stderr string) {
	for _, f := range c.ours {
		// Pipes obey deadlines.
		_ = f.SetReadDeadline(deadlineIn(lingering))
	}
	c.copying.Wait()
	for _, f := range c.ours {
		f.Close()
	}
	return c.stdout.String(), c.stderr.String()
}
