package inject

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process is a process whose threads are all stopped.
type Process struct {
	pid     int
	threads []*thread
	mem     *os.File
	gate    uint64 // the address of a syscall instruction
	scratch uint64 // memory for arguments
	used    int
}

type thread struct {
	tid  int
	regs unix.PtraceRegs
	mask uint64
}

const (
	scratchSize = 64 << 10
	// ptrace(2): signals that wait stay where they are meanwhile.
	ptraceGetSigmask = 0x420a
	ptraceSetSigmask = 0x420b
	// options catch a child that a call makes before it runs.
	options = unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE
)

// Attach stops all threads of a process.
func Attach(pid int) (*Process, error) {
	p := &Process{pid: pid}
	var err error
	if p.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err := p.stopAll(); err != nil {
		return nil, errors.Join(err, p.Detach())
	}
	if p.gate, err = p.findGate(); err != nil {
		return nil, errors.Join(err, p.Detach())
	}
	scratch, errno := p.Call(p.threads[0].tid, unix.SYS_MMAP, 0, scratchSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	if errno != 0 {
		return nil, errors.Join(fmt.Errorf("mmap in process %d: %w", pid, errno), p.Detach())
	}
	p.scratch = uint64(scratch)
	return p, nil
}

// stopAll stops threads until there is none that runs: those that run may
// make new ones.
func (p *Process) stopAll() error {
	stopped := make(map[int]bool)
	for {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p.pid))
		if err != nil {
			return err
		}
		before := len(stopped)
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil || stopped[tid] {
				continue
			}
			t, err := stop(tid)
			if errors.Is(err, unix.ESRCH) {
				continue // it ended
			}
			if err != nil {
				return fmt.Errorf("stop thread %d: %w", tid, err)
			}
			stopped[tid] = true
			p.threads = append(p.threads, t)
		}
		if len(stopped) == before {
			break
		}
	}
	if len(p.threads) == 0 {
		return fmt.Errorf("process %d has ended", p.pid)
	}
	return nil
}

func stop(tid int) (*thread, error) {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, options, 0, 0); errno != 0 {
		return nil, errno
	}
	if err := unix.PtraceInterrupt(tid); err != nil {
		return nil, err
	}
	for {
		status, err := wait(tid)
		if err != nil {
			return nil, err
		}
		if status.TrapCause() == unix.PTRACE_EVENT_STOP {
			break
		}
		if err := unix.PtraceCont(tid, int(status.StopSignal())); err != nil {
			return nil, err
		}
	}
	t := &thread{tid: tid}
	if err := unix.PtraceGetRegs(tid, &t.regs); err != nil {
		return nil, err
	}
	return t, sigmask(ptraceGetSigmask, tid, &t.mask)
}

func wait(tid int) (status unix.WaitStatus, err error) {
	for {
		if _, err = unix.Wait4(tid, &status, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	if err == nil && !status.Stopped() {
		err = fmt.Errorf("thread %d has ended (status %#x)", tid, uint32(status))
	}
	return status, err
}

func sigmask(request uintptr, tid int, mask *uint64) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, request, uintptr(tid), 8, uintptr(unsafe.Pointer(mask)), 0, 0); errno != 0 {
		return os.NewSyscallError("ptrace sigmask", errno)
	}
	return nil
}

// findGate looks for a syscall instruction in the code of the process.
func (p *Process) findGate() (uint64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "r-x") {
			continue
		}
		code := make([]byte, to-from)
		if _, err := p.mem.ReadAt(code, int64(from)); err != nil {
			continue // such as the kernel's page
		}
		if at := bytes.Index(code, []byte{0x0f, 0x05}); at >= 0 {
			return from + uint64(at), nil
		}
	}
	return 0, fmt.Errorf("process %d has no syscall instruction", p.pid)
}

// Threads are the ids of the stopped threads.
func (p *Process) Threads() []int {
	ids := make([]int, len(p.threads))
	for i, t := range p.threads {
		ids[i] = t.tid
	}
	return ids
}

// Store puts data into the memory of the process and returns its address. It
// stays there until Reset.
func (p *Process) Store(data []byte) uintptr {
	at := p.scratch + uint64(p.used)
	p.used += (len(data) + 16) &^ 15
	if p.used > scratchSize {
		panic("inject: the scratch memory is full")
	}
	if _, err := p.mem.WriteAt(data, int64(at)); err != nil {
		panic(err)
	}
	return uintptr(at)
}

// String is Store for a string of C.
func (p *Process) String(s string) uintptr { return p.Store(append([]byte(s), 0)) }

// Reset forgets all that was stored.
func (p *Process) Reset() { p.used = 0 }

// Call makes a system call in a thread. A child that it makes is killed
// before it runs. If the process does not survive it, Call panics.
func (p *Process) Call(tid int, number uintptr, args ...uintptr) (uintptr, unix.Errno) {
	var t *thread
	for _, candidate := range p.threads {
		if candidate.tid == tid {
			t = candidate
		}
	}
	result, err := p.call(t, number, args)
	if err != nil {
		panic(fmt.Errorf("system call %d in thread %d of process %d: %w", number, tid, p.pid, err))
	}
	if failed := int64(result); failed < 0 && failed > -4096 {
		return 0, unix.Errno(-failed)
	}
	return uintptr(result), 0
}

func (p *Process) call(t *thread, number uintptr, args []uintptr) (uint64, error) {
	regs := t.regs
	regs.Rip, regs.Rax, regs.Orig_rax = p.gate, uint64(number), ^uint64(0)
	for i, place := range []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9} {
		*place = 0
		if i < len(args) {
			*place = uint64(args[i])
		}
	}
	blocked := ^uint64(1 << (unix.SIGTRAP - 1))
	if err := errors.Join(sigmask(ptraceSetSigmask, t.tid, &blocked), unix.PtraceSetRegs(t.tid, &regs)); err != nil {
		return 0, err
	}
	for {
		if err := unix.PtraceSingleStep(t.tid); err != nil {
			return 0, err
		}
		status, err := wait(t.tid)
		if err != nil {
			return 0, err
		}
		if cause := status.TrapCause(); cause == unix.PTRACE_EVENT_FORK || cause == unix.PTRACE_EVENT_VFORK || cause == unix.PTRACE_EVENT_CLONE {
			if err := endChild(t.tid); err != nil {
				return 0, err
			}
			continue
		}
		if err := unix.PtraceGetRegs(t.tid, &regs); err != nil {
			return 0, err
		}
		if regs.Rip == p.gate+2 {
			break
		}
		if status.StopSignal() != unix.SIGTRAP {
			return 0, fmt.Errorf("stopped by %v at %#x", status.StopSignal(), regs.Rip)
		}
	}
	// Orig_rax tells the kernel to go on with the call that was interrupted.
	return regs.Rax, errors.Join(unix.PtraceSetRegs(t.tid, &t.regs), sigmask(ptraceSetSigmask, t.tid, &t.mask))
}

func endChild(tid int) error {
	child, err := unix.PtraceGetEventMsg(tid)
	if err != nil {
		return err
	}
	if err := unix.Kill(int(child), unix.SIGKILL); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(int(child), &status, unix.WALL, nil); err != nil && err != unix.EINTR {
			return err
		}
		if status.Signaled() {
			return nil
		}
	}
}

// Detach lets the process go on.
func (p *Process) Detach() error {
	if p.scratch != 0 {
		p.Call(p.threads[0].tid, unix.SYS_MUNMAP, uintptr(p.scratch), scratchSize)
	}
	var errs []error
	for _, t := range p.threads {
		if err := unix.PtraceDetach(t.tid); err != nil && err != unix.ESRCH {
			errs = append(errs, fmt.Errorf("detach thread %d: %w", t.tid, err))
		}
	}
	return errors.Join(append(errs, p.mem.Close())...)
}
