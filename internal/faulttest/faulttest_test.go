package faulttest

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// One call fails on one thread, then another, and neither on what that starts.
func TestRun(t *testing.T) {
	t.Parallel()
	var limit unix.Rlimit
	get := func() error { return unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit) }
	access := func() error { return unix.Access("/", unix.F_OK) }
	ended := false
	Run(t, unix.SYS_PRLIMIT64, unix.EPERM, func() {
		if first, second := get(), access(); first != unix.EPERM || second != nil {
			t.Errorf("%v, another call %v", first, second)
		}
		if !Fail(t, unix.SYS_FACCESSAT, unix.EIO) {
			return
		}
		if first, second := get(), access(); first != unix.EPERM || second != unix.EIO {
			t.Errorf("%v, and with another %v", first, second)
		}
		started := make(chan error)
		go func() { started <- get() }()
		if err := <-started; err != nil {
			t.Errorf("elsewhere: %v", err)
		}
		ended = true
	})
	if err := get(); err != nil || !ended {
		t.Errorf("afterwards: %v, ended %v", err, ended)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if names := Open(t, dir); len(names) != 0 {
		t.Errorf("open are %q", names)
	}
	for _, name := range []string{"b", "a"} {
		f, err := os.Create(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if names := Open(t, dir); !slices.Equal(names, []string{dir + "/a", dir + "/b"}) {
		t.Errorf("open are %q", names)
	}
}
