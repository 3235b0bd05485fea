package qmaillocal

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"postrider/internal/fate"
	"postrider/internal/footprint"
	"postrider/internal/offspring"
)

const (
	shell = "/bin/sh"
	// maxOutput is what a program may write before nobody listens any more: far
	// more than a report holds.
	maxOutput = 16 << 20
)

// toProgram runs a program line with the message as standard input.
func (d *delivery) toProgram(line string) error {
	if err := d.takeSlot(); err != nil {
		return err
	}
	in, done, err := d.message.forProgram()
	if err != nil {
		return temporary("rewind message", err, "Unable to rewind message: %s. (#4.3.0)", reason(err))
	}
	defer done()
	if d.programOut != nil {
		return d.runProgram(line, in, d.programOut)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return temporary("pipe", err, "Unable to create pipe: %s. (#4.3.0)", reason(err))
	}
	var reading sync.WaitGroup
	reading.Go(func() { // until the end, or the deadline below
		if n, _ := io.Copy(d.out, io.LimitReader(r, maxOutput)); n == maxOutput {
			_ = r.Close() // who goes on to write gets SIGPIPE
		}
	})
	err = d.runProgram(line, in, w)
	_ = w.Close() // nothing was written to this end
	// A child that was left behind may hold the pipe for days: take what the
	// program has written and go.
	if deadlineErr := r.SetReadDeadline(time.Now()); deadlineErr == nil {
		reading.Wait()
		drain(r, d.out)
		_ = r.Close()
	} else {
		_ = r.Close() // ends the reading as well
		reading.Wait()
	}
	return err
}

// drain copies what is in the pipe now, at most what fits into one.
func drain(r *os.File, out io.Writer) {
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // it fails only if r is closed
		_, _ = io.Copy(out, io.LimitReader(rawReader(fd), 64<<10))
	})
}

// runProgram starts the shell, waits for it and judges its exit.
func (d *delivery) runProgram(line string, in, out *os.File) error {
	var process *os.Process
	fork := func() (pid int, err error) {
		process, err = footprint.StartProgram(shell, []string{shell, "-c", line}, &os.ProcAttr{
			Dir:   d.home,
			Env:   d.variables,
			Files: []*os.File{in, out, out},
			Sys:   &syscall.SysProcAttr{Setpgid: d.ownGroup},
		})
		if err != nil {
			return 0, err
		}
		return process.Pid, nil
	}
	family, err := offspring.Start(func() (leader int, err error) {
		if !d.ownGroup {
			return fork()
		}
		return d.limits.Start(fork)
	})
	if err != nil {
		if process != nil {
			family.Kill()
			_, _ = process.Wait() // what it says does not count
		}
		return temporary("run "+shell, err, "Unable to run %s: %s. (#4.3.0)", shell, reason(err))
	}
	var limit offspring.Expiry
	if d.ownGroup {
		// All programs of a delivery have the time together: qmail-lspawn waits
		// no longer for it.
		timer := time.AfterFunc(time.Until(d.slotSince.Add(d.programLimit)), func() { limit.Kill(family) })
		defer timer.Stop()
	}
	state, err := process.Wait()
	killed := limit.Ended()
	if killed {
		family.Rest(time.Now()) // who escaped
	}
	if err != nil {
		return temporary("wait", err, "Unable to wait for program: %s. (#4.3.0)", reason(err))
	}
	if killed && !state.Exited() {
		return temporary("run program", nil, "Programs ran for more than %v, and the last one was killed. (#4.3.0)", d.programLimit)
	}
	return judge(state)
}

// judge turns a program's exit into the fate of the delivery (spec section
// 4.3). What there is to say, the program has said itself.
func judge(state *os.ProcessState) error {
	if !state.Exited() {
		return temporary("run program", nil, "Aack, child crashed. (#4.3.0)")
	}
	switch state.ExitCode() {
	case 0:
		return nil
	case 99:
		return errEnough
	case 100, 64, 65, 70, 76, 77, 78, 112:
		return fate.Perm("3.0", "", "run program", errors.New(state.String()))
	}
	return fate.Temp("3.0", "", "run program", errors.New(state.String()))
}
