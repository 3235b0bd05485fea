package limits

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/faulttest"
)

// A program is not started with limits that this process could not set, and one
// whose limits cannot be taken back, or set, is told of, so that it is ended. Not
// parallel: a limit is that of the whole process.
func TestStartWithoutLimits(t *testing.T) {
	l := Limits{Processes: 1234}
	for call, want := range map[uint32]unix.Errno{unix.SYS_GETRLIMIT: unix.EIO, unix.SYS_PRLIMIT64: unix.EPERM} {
		faulttest.Run(t, call, want, func() {
			pid, err := l.Start(func() (int, error) { t.Error("it was started"); return 1, nil })
			if pid != 0 || !errors.Is(err, want) || !strings.Contains(err.Error(), "limit NPROC") {
				t.Errorf("%d, %v", pid, err)
			}
		})
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []error{nil, errors.New("started, and ended")} {
		faulttest.Run(t, unix.SYS_PERSONALITY, unix.EPERM, func() {
			pid, err := l.Start(func() (int, error) {
				faulttest.Fail(t, unix.SYS_PRLIMIT64, unix.EPERM) // of a program alone it would be none
				return 1 << 30, fault                             // nobody's number
			})
			if pid != 1<<30 || fault == nil && !errors.Is(err, unix.EPERM) || fault != nil && err != fault {
				t.Errorf("%v: %d, %v", fault, pid, err)
			}
		})
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &own); err != nil {
			t.Fatal(err)
		}
	}
}

// A program that may not be bounded is one with other rights, and has what it
// inherited; any other error is one.
func TestProgramOfOthers(t *testing.T) {
	t.Parallel()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer c.Process.Kill()
	for errno, fails := range map[unix.Errno]bool{unix.EPERM: false, unix.EINVAL: true} {
		for name, l := range map[string]Limits{"NPROC": {Processes: 1}, "DATA": {Memory: 1}, "NOFILE": {Files: 1}, "FSIZE": {FileSize: 1}, "CPU": {Seconds: 1}} {
			faulttest.Run(t, unix.SYS_PRLIMIT64, errno, func() {
				err := l.program(c.Process.Pid)
				if fails && (!errors.Is(err, errno) || !strings.HasPrefix(err.Error(), "limit "+name+":")) || !fails && err != nil {
					t.Errorf("%v: %v", errno, err)
				}
			})
		}
	}
}

// Limits that nobody reaches bound nothing, and no limits are none. Not parallel:
// it is the whole process's.
func TestBoundByNothing(t *testing.T) {
	var before, after [2]string
	look := func(to *[2]string) {
		to[0], to[1] = limitOf(t, os.Getpid(), "Max processes"), limitOf(t, os.Getpid(), "Max data size")
	}
	look(&before)
	if err := (Limits{}).Bound(); err != nil {
		t.Error(err)
	}
	if look(&after); after != before {
		t.Errorf("no limits: %q, were %q", after, before)
	}
	const huge = 1 << 60
	if err := (Limits{Processes: huge, Memory: huge, Files: 1, FileSize: 1, Seconds: 1}).Bound(); err != nil {
		t.Error(err)
	}
	look(&after)
	for i, own := range []uint64{ownProcesses, ownMemory} {
		if before[i] == "unlimited unlimited" && after[i] != fmt.Sprint(huge+own, " ", huge+own) {
			t.Errorf("limits are %q, were %q", after, before)
		}
	}
	faulttest.Run(t, unix.SYS_PRLIMIT64, unix.EPERM, func() {
		if err := (Limits{Processes: huge}).Bound(); !errors.Is(err, unix.EPERM) {
			t.Errorf("limits that cannot be set: %v", err)
		}
	})
}

// A limit that is this process's own is no other one.
func TestSameLimit(t *testing.T) {
	t.Parallel()
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err != nil {
		t.Fatal(err)
	}
	// Under the filter nothing could be set.
	faulttest.Run(t, unix.SYS_PRLIMIT64, unix.EPERM, func() {
		for _, processes := range []uint64{0, own.Cur, ^uint64(0)} {
			if restore, err := (Limits{Processes: processes}).lowerProcesses(); err != nil || restore() != nil {
				t.Errorf("%d processes: %v", processes, err)
			}
		}
	})
}

// Of several settings each fault is told.
func TestLoadTellsAllFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"programprocesses", "programmemory", "programfiles", "programfilesize", "programcpu"}
	for _, name := range names {
		if err := os.WriteFile(dir+"/"+name, []byte("99999999999999999999999\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load(control.Dir(dir))
	for _, name := range names {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
