package spool

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/submit"
)

// After a time without descriptors the daemons' channels work again: nobody
// would make new ones while this process runs.
func TestChannelOutlivesShortage(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	p := startProcess(t, l, listen(t, l))
	greeting := func() error {
		c, err := submit.Connect(p.submit)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return submit.ReadGreeting(c)
	}
	if err := greeting(); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	pid := p.cmd.Process.Pid
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}, nil); err != nil {
		t.Fatal(err)
	}
	if err := greeting(); err == nil {
		t.Fatal("a connection without a descriptor")
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	if err := greeting(); err != nil {
		t.Errorf("after the shortage: %v", err)
	}
	p.stop()
}

// One trouble of many messages is one line a minute.
func TestTroubleIsToldSeldom(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	for range 100 {
		q.server.refused(writeTrouble(&os.PathError{Op: "write", Path: q.store.newID(time.Now()).String(), Err: unix.ENOSPC}))
	}
	q.server.refused(writeTrouble(unix.EIO))
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) != 2 {
		t.Errorf("%d lines: %q", len(q.lines), q.lines[:3])
	}
}
