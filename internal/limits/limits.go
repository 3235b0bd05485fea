// Package limits bounds what programs of users, and those of the administrator
// that handle mail, may take of the machine (setrlimit(2)).
//
// Imported by those who start such programs: qmail-local's workers, qmail-filter
// and qmail-checkpass. The control files are the administrator's, the programs
// hostile.
//
// What a process starts has its own limits from the first moment, so the process
// that starts programs is bounded itself (Bound), by a little more than it needs.
// A program is given its own limits right after its start (Start). What it was
// quick enough to start before has the larger ones: that is no danger to the
// machine, only to the process that started it, which is the same user's. The
// number of processes, which a program that forks could exceed in that moment,
// it has from the first: as a soft limit, that of the process that starts it.
package limits

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
)

// Limits are those of a program; 0 is none.
type Limits struct {
	Processes uint64 // and threads, of the program's user, whoever started them
	Memory    uint64 // bytes, of each process
	Files     uint64 // descriptors of each process
	FileSize  uint64 // bytes of a file that is written
	Seconds   uint64 // of processor time, of each process
}

// Defaults (docs/control.md).
const (
	defaultProcesses = 2000
	defaultMemory    = 2 << 30
	defaultFiles     = 4096
	defaultSeconds   = 3600
)

const (
	// ownProcesses and ownMemory are what the process that starts programs has
	// more of: threads that wait for them, which may not fail while the user has
	// many processes from elsewhere; and Go's heap.
	ownProcesses = 2000
	ownMemory    = 512 << 20
	// oomScore makes a program the first to go when the machine is out of
	// memory.
	oomScore = 500
)

// Load reads the control files.
func Load(dir control.Dir) (l Limits, err error) {
	number := func(n int, fault error) uint64 {
		err = errors.Join(err, fault)
		return uint64(n)
	}
	l = Limits{
		Processes: number(dir.Int("programprocesses", defaultProcesses)),
		Memory:    number(dir.Int("programmemory", defaultMemory)),
		Files:     number(dir.Int("programfiles", defaultFiles)),
		FileSize:  number(dir.Int("programfilesize", 0)),
		Seconds:   number(dir.Int("programcpu", defaultSeconds)),
	}
	return l, err
}

// Bound bounds this process, and so all that it starts.
func (l Limits) Bound() error {
	if l.Processes > 0 {
		l.Processes += ownProcesses
	}
	if l.Memory > 0 {
		l.Memory += ownMemory
	}
	// Those that its own work would meet.
	l.Files, l.FileSize, l.Seconds = 0, 0, 0
	return l.set(0)
}

// Start calls start, which starts a program and does not wait for it, and
// bounds that. If there is a number with an error, it runs and is to be ended.
// Calls must not overlap: a limit of this process is lower meanwhile.
func (l Limits) Start(start func() (pid int, err error)) (pid int, err error) {
	restore, err := l.lowerProcesses()
	if err != nil {
		return 0, err
	}
	pid, err = start()
	if restoreErr := restore(); err == nil {
		err = restoreErr
	}
	if err == nil {
		err = l.program(pid)
	}
	return pid, err
}

// lowerProcesses gives this process the soft limit of a program. It is for as
// long as a fork takes: Go's runtime, which has an end if it cannot have a
// thread, tries that again for longer.
func (l Limits) lowerProcesses() (restore func() error, err error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err != nil {
		return nil, fmt.Errorf("limit NPROC: %w", err)
	}
	if l.Processes == 0 || l.Processes >= own.Cur {
		return func() error { return nil }, nil
	}
	set := func(soft uint64) error {
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: soft, Max: own.Max}); err != nil {
			return fmt.Errorf("limit NPROC: %w", err)
		}
		return nil
	}
	return func() error { return set(own.Cur) }, set(l.Processes)
}

// program bounds a program that was not waited for yet.
func (l Limits) program(pid int) error {
	// Without it the kernel chooses by size, which is most often right.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", strconv.AppendInt(nil, oomScore, 10), 0)
	if err := l.set(pid); !errors.Is(err, unix.EPERM) {
		return err
	}
	return nil // it is setuid, and has what it inherited
}

// set sets the limits of a process; 0 is this one.
func (l Limits) set(pid int) error {
	for _, r := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"NPROC", unix.RLIMIT_NPROC, l.Processes},
		{"DATA", unix.RLIMIT_DATA, l.Memory},
		{"NOFILE", unix.RLIMIT_NOFILE, l.Files},
		{"FSIZE", unix.RLIMIT_FSIZE, l.FileSize},
		{"CPU", unix.RLIMIT_CPU, l.Seconds},
	} {
		if r.limit == 0 {
			continue
		}
		if err := lower(pid, r.resource, r.limit); err != nil {
			return fmt.Errorf("limit %s: %w", r.name, err)
		}
	}
	return nil
}

// lower sets a limit that nobody can raise again. One that is lower stays.
func lower(pid, resource int, limit uint64) error {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		return err
	}
	return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: min(old.Cur, limit), Max: min(old.Max, limit)}, nil)
}
