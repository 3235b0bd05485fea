package start

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"postrider/internal/footprint"
	"postrider/internal/handover"
	"postrider/internal/listenfds"
	"postrider/internal/priv"
	"postrider/internal/world"
)

// checkTime is how long a program has to say that it can take over.
const checkTime = 20 * time.Second

// caught are the signals that qmail-start acts upon.
var caught = []os.Signal{syscall.SIGHUP, syscall.SIGALRM, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT}

// handlerTime is how long a signal that was delivered takes to its reader.
const handlerTime = 2 * time.Millisecond

// heir is the successor on this machine.
type heir struct {
	path    string
	args    []string
	environ []string
	null    *os.File
	log     *os.File
	signals chan os.Signal
	flush   func() // writes the log lines that wait
}

func newHeir(w world.World, h *machine, signals chan os.Signal, flush func()) *heir {
	return &heir{
		path: filepath.Join(w.Home, "bin", "qmail-start"), args: w.Args, environ: listenfds.Strip(w.Environ),
		null: h.null, log: h.log, signals: signals, flush: flush,
	}
}

// check starts the program as a child, which says in the log why it cannot.
func (h *heir) check(state handover.State) error {
	text, err := sealed(state)
	if err != nil {
		return err
	}
	defer text.Close()
	p, err := footprint.StartDaemon(h.path, h.args, &os.ProcAttr{
		Dir: "/", Env: handover.WithCheck(h.environ), Files: []*os.File{h.null, h.null, h.log, text},
	})
	if err != nil {
		return err
	}
	late := time.AfterFunc(checkTime, func() { _ = p.Kill() }) // or it has just ended
	ended, err := p.Wait()
	switch inTime := late.Stop(); {
	case err != nil:
		return err
	case ended.ExitCode() == exitReady:
		return nil
	case !inTime:
		return fmt.Errorf("%s has not said within %v that it can take over", h.path, checkTime)
	case ended.ExitCode() == exitDeferred:
		return errExplained
	}
	return fmt.Errorf("%s cannot take over: %v", h.path, ended)
}

// sealed returns the text of a state in a file of memory that nobody can change.
func sealed(state handover.State) (*os.File, error) {
	text, err := state.Append(nil)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("hand-over", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "hand-over")
	_, err = f.Write(text)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = f.Close() // of no use
		return nil, err
	}
	return f, nil
}

// replace executes the program with the descriptors of the state. It begins with
// its signals blocked, so that one that comes before it listens for them waits,
// and ends nothing: that is the mask of the thread that executes it. Our other
// threads take them until exec ends them. The runtime of a Go program unblocks
// some, HUP among them, but lets HUP be ignored: that is lost until the program
// listens, which has read everything anew. TERM and INT end it, and the suite; what
// our other threads took of them at the last moment would be lost with us, so that
// from then on they end us, too, as the kernel does it.
func (h *heir) replace(state handover.State) error {
	text, err := sealed(state)
	if err != nil {
		return err
	}
	defer text.Close()
	fds := append([]int{int(text.Fd())}, state.Files()...)
	h.flush()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mask(unix.SIG_BLOCK)
	defer mask(unix.SIG_UNBLOCK)
	syscall.ForkLock.Lock() // nobody else's child gets them
	defer syscall.ForkLock.Unlock()
	defer inheritable(fds, false)
	if !inheritable(fds, true) {
		return errors.New("the descriptors cannot be handed over")
	}
	restore, err := deadly(syscall.SIGTERM, syscall.SIGINT)
	defer restore()
	if err != nil {
		return err
	}
	time.Sleep(handlerTime)
	if len(h.signals) > 0 { // as late as can be
		return errSignalFirst
	}
	signal.Ignore(syscall.SIGHUP)
	err = syscall.Exec(h.path, h.args, handover.With(h.environ, os.Getpid(), fds))
	signal.Notify(h.signals, syscall.SIGHUP)
	return &os.PathError{Op: "exec", Path: h.path, Err: err}
}

// deadly has the kernel end the process at signals. The runtime's handler, which
// would take them until exec has ended the last of its threads, is put back by
// restore.
func deadly(signals ...syscall.Signal) (restore func(), err error) {
	var before []func()
	restore = func() {
		for _, undo := range before {
			undo()
		}
	}
	for _, s := range signals {
		var byDefault, handler sigaction
		if err := changeAction(s, &byDefault, &handler); err != nil {
			return restore, err
		}
		before = append(before, func() { _ = changeAction(s, &handler, nil) }) // fails for no known signal
	}
	return restore, nil
}

// sigaction has room for the kernel's structure of that name. All zero it stands
// for what the kernel does by itself.
type sigaction [8]uint64

func changeAction(s syscall.Signal, action, before *sigaction) error {
	const setSize = 8 // of the kernel's signal sets
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(before)), setSize, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}

// mask blocks or unblocks the signals that are caught, in the calling thread: a
// goroutine must be locked to it. A thread's children begin with its mask.
func mask(how int) {
	set := caughtSet()
	_ = unix.PthreadSigmask(how, &set, nil) // fails for no known signal
}

func caughtSet() (set unix.Sigset_t) {
	word := 8 * uint(unsafe.Sizeof(set.Val[0]))
	for _, s := range caught {
		bit := uint(s.(syscall.Signal)) - 1
		set.Val[bit/word] |= 1 << (bit % word)
	}
	return set
}

// inheritable sets whether descriptors go through exec.
func inheritable(fds []int, through bool) bool {
	flags := unix.FD_CLOEXEC
	if through {
		flags = 0
	}
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags); err != nil {
			return false
		}
	}
	return true
}

// openProcess returns a child that a predecessor started.
func openProcess(pid int) (process, error) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	return child{p}, nil
}

// installed tells whether all programs of a plan are there to be started, and
// whether what was decided for good at the start still holds.
func installed(p *plan, home string, policy priv.Policy) error {
	for _, m := range p.members {
		if m.order == stopLogger {
			continue
		}
		path := filepath.Join(home, "bin", m.role.Program)
		if err := unix.Access(path, unix.X_OK); err != nil {
			return &os.PathError{Op: "access", Path: path, Err: err}
		}
	}
	held, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && held == 1 && policy.SetuidPrograms {
		return errors.New("control/setuidprograms was set since the start: that needs a stop and a start")
	}
	return nil
}
