//go:build linux && amd64

package faultcall

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// tracer stops and resumes processes. All of it but arm runs in one thread.
type tracer struct {
	tell func(Event)

	mu     sync.Mutex
	orders []*armed

	threads map[int]*thread
	names   map[int]string            // of programs, by process
	syncs   map[submitted]string      // what io_submit was given
	after   map[int]func(*stop) error // what to do when a thread's call ends
}

// armed is an order with what it has seen.
type armed struct {
	Order
	target *regexp.Regexp // nil: any
	seen   int
}

type thread struct{ process int }

// submitted names a request of io_submit: a process and where it has the iocb.
type submitted struct {
	process int
	iocb    uint64
}

func newTracer(tell func(Event)) *tracer {
	return &tracer{
		tell: tell, threads: make(map[int]*thread), names: make(map[int]string),
		syncs: make(map[submitted]string), after: make(map[int]func(*stop) error),
	}
}

func (t *tracer) arm(orders []Order) (seen []int, err error) {
	var fresh []*armed
	for _, o := range orders {
		a := &armed{Order: o}
		if o.Target != "" {
			if a.target, err = regexp.Compile(o.Target); err != nil {
				return nil, err
			}
		}
		fresh = append(fresh, a)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.orders {
		seen = append(seen, a.seen)
	}
	t.orders = fresh
	return seen, nil
}

const (
	traceOptions = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD
	// waitMine waits for threads too, and only for those that this one traces.
	waitMine    = unix.WALL | unix.WNOTHREAD
	callEndStop = unix.SIGTRAP | 0x80 // PTRACE_O_TRACESYSGOOD
)

// run traces the process pid, which has just stopped for the first time, and
// all that it starts; it returns how pid ended when all have.
func (t *tracer) run(pid int) (end syscall.WaitStatus, err error) {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, waitMine, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			return end, nil
		case err != nil:
			return end, err
		}
		if status.Exited() || status.Signaled() {
			if tid == pid {
				end = syscall.WaitStatus(status)
			}
			t.forget(tid)
			continue
		}
		if t.threads[tid] == nil {
			t.welcome(tid, tid == pid && len(t.threads) == 0)
		}
		// A thread that was killed meanwhile is waited for again.
		if err := t.stopped(tid, status); err != nil && err != unix.ESRCH {
			return end, err
		}
	}
}

// welcome notes a new thread. The first has to be told what to trace; what it
// starts inherits that.
func (t *tracer) welcome(tid int, first bool) {
	if first {
		_ = unix.PtraceSetOptions(tid, traceOptions) // fails only if it is dead
	}
	t.threads[tid] = &thread{process: processOf(tid)}
}

func (t *tracer) forget(tid int) {
	if th := t.threads[tid]; th != nil && th.process == tid {
		delete(t.names, tid)
	}
	delete(t.threads, tid)
	delete(t.after, tid)
}

// stopped resumes a thread, as why it stopped demands.
func (t *tracer) stopped(tid int, status unix.WaitStatus) error {
	sig := status.StopSignal()
	event := int(status) >> 16
	switch {
	case event == unix.PTRACE_EVENT_SECCOMP:
		return t.callBegins(tid)
	case event == unix.PTRACE_EVENT_EXEC:
		// Whichever thread did it is the process's first from now on.
		delete(t.names, tid)
		delete(t.after, tid)
		return unix.PtraceCont(tid, 0)
	case event != 0: // a child, which stops by itself
		return unix.PtraceCont(tid, 0)
	case sig == callEndStop:
		return t.callEnds(tid)
	case sig == unix.SIGSTOP || sig == unix.SIGTRAP: // new, nobody of ours sends it
		return unix.PtraceCont(tid, 0)
	}
	return resume(tid, t.after[tid] != nil, sig)
}

// resume goes on, with a signal, to the end of the call or further.
func resume(tid int, toCallEnd bool, sig unix.Signal) error {
	if toCallEnd {
		return unix.PtraceSyscall(tid, int(sig))
	}
	return unix.PtraceCont(tid, int(sig))
}

func processOf(tid int) int {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err == nil {
		_, rest, _ := strings.Cut(string(data), "Tgid:")
		line, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			return n
		}
	}
	return tid
}

// program returns the name of the program that a process runs.
func (t *tracer) program(process int) string {
	name, known := t.names[process]
	if !known {
		exe, err := os.Readlink("/proc/" + strconv.Itoa(process) + "/exe")
		if err != nil {
			return ""
		}
		name = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
		t.names[process] = name
	}
	return name
}
