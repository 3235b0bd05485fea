//go:build linux && amd64

package faultcall

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stop is a call at which a thread is stopped.
type stop struct {
	tid, process int
	call         call
	args         [6]uint64
	regs         unix.PtraceRegs
}

// callBegins decides about a call that is about to be made.
func (t *tracer) callBegins(tid int) error {
	s := &stop{tid: tid, process: t.threads[tid].process}
	if err := unix.PtraceGetRegs(tid, &s.regs); err != nil {
		return err
	}
	s.call = calls[s.regs.Orig_rax]
	s.args = [6]uint64{s.regs.Rdi, s.regs.Rsi, s.regs.Rdx, s.regs.R10, s.regs.R8, s.regs.R9}
	switch {
	case s.call.class == Submit:
		t.noteSubmitted(s)
	case s.call.shape == byEvents:
		return t.goThrough(s, t.completions)
	}
	fault, fires := t.decide(s, s.call.name, func() string { return targetOf(s) })
	if !fires {
		return unix.PtraceCont(tid, 0)
	}
	return t.inject(s, fault)
}

// inject does to a call what was ordered.
func (t *tracer) inject(s *stop, f Fault) error {
	switch {
	case f.Kill && !f.After:
		return unix.Kill(s.process, unix.SIGKILL)
	case f.Kill:
		return t.goThrough(s, func(s *stop) error { return unix.Kill(s.process, unix.SIGKILL) })
	case f.Short:
		setCount(&s.regs, s.call.count)
		if err := unix.PtraceSetRegs(s.tid, &s.regs); err != nil {
			return err
		}
	case f.Errno != 0 && (f.After || s.call.class == Close):
		return t.goThrough(s, func(s *stop) error {
			if int64(s.regs.Rax) < 0 { // has failed by itself
				return nil
			}
			s.regs.Rax = uint64(-int64(f.Errno))
			return unix.PtraceSetRegs(s.tid, &s.regs)
		})
	case f.Errno != 0:
		s.regs.Orig_rax = ^uint64(0) // no call
		s.regs.Rax = uint64(-int64(f.Errno))
		if err := unix.PtraceSetRegs(s.tid, &s.regs); err != nil {
			return err
		}
	}
	return unix.PtraceCont(s.tid, 0)
}

func setCount(regs *unix.PtraceRegs, argument int) {
	switch argument {
	case 2:
		regs.Rdx = min(regs.Rdx, 1)
	case 4:
		regs.R8 = min(regs.R8, 1)
	}
}

// goThrough makes the call, and then calls then.
func (t *tracer) goThrough(s *stop, then func(*stop) error) error {
	t.after[s.tid] = func(end *stop) error {
		s.regs = end.regs
		return then(s)
	}
	return unix.PtraceSyscall(s.tid, 0)
}

// callEnds goes on after a call that was gone through.
func (t *tracer) callEnds(tid int) error {
	then := t.after[tid]
	delete(t.after, tid)
	if then != nil {
		s := &stop{tid: tid}
		if err := unix.PtraceGetRegs(tid, &s.regs); err != nil {
			return err
		}
		if err := then(s); err != nil {
			return err
		}
	}
	return unix.PtraceCont(tid, 0)
}

// decide counts a call against the orders and returns what is to happen to it.
func (t *tracer) decide(s *stop, name string, target func() string) (f Fault, fires bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what, class := "", Class("")
	for _, o := range t.orders {
		if o.Program != "" && o.Program != t.program(s.process) {
			continue
		}
		if class == "" {
			what = target()
			class = classFor(s.call.class, what)
		}
		if o.Class != class && (o.Class != Any || class == noClass) || o.target != nil && !o.target.MatchString(what) {
			continue
		}
		o.seen++
		if fires || o.Nth != 0 && o.Nth != o.seen {
			continue
		}
		f, fires = o.Fault, true
		t.tell(Event{t.program(s.process), s.process, class, name, what, o.seen, f, time.Now()})
	}
	return f, fires
}

// classFor is the class of a call by what it is about: to write to a socket is to
// send. Left out is what can be no trouble of the machine's: the runtime's own
// wake-ups, and the end of what is no file.
func classFor(c Class, target string) Class {
	isFile := strings.HasPrefix(target, "/")
	switch {
	case (c == Write || c == Read || c == Close) && !isFile && (c == Close || strings.HasPrefix(target, "anon_inode:")):
		return noClass
	case c == Write && !isFile:
		return Send
	case c == Read && !isFile:
		return Receive
	}
	return c
}

// The offsets of the kernel's structures (linux/aio_abi.h).
const (
	iocbFD      = 20
	eventSize   = 32
	eventObj    = 8
	eventResult = 16
)

// noteSubmitted remembers which files io_submit was given: when the result
// comes the program may have used the memory for something else.
func (t *tracer) noteSubmitted(s *stop) {
	for i := range min(s.args[1], 1024) {
		iocb := readWord(s.tid, s.args[2]+8*i)
		fd := readWord(s.tid, iocb+iocbFD-4) >> 32 // all of the aligned word
		t.syncs[submitted{s.process, iocb}] = fdName(s.process, fd)
	}
}

// completions makes results of syncs errors.
func (t *tracer) completions(s *stop) error {
	for i := range max(int64(s.regs.Rax), 0) {
		event := s.args[3] + uint64(i)*eventSize
		key := submitted{s.process, readWord(s.tid, event+eventObj)}
		name := t.syncs[key]
		delete(t.syncs, key)
		f, fires := t.decide(s, "fsync by io_submit", func() string { return name })
		switch {
		case fires && f.Kill:
			return unix.Kill(s.process, unix.SIGKILL)
		case fires && f.Errno != 0:
			if err := writeWord(s.tid, event+eventResult, uint64(-int64(f.Errno))); err != nil {
				return err
			}
		}
	}
	return nil
}
