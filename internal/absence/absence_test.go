package absence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAwait(t *testing.T) {
	const limit = 20 * time.Second
	ending := make(chan struct{})
	close(ending)
	for _, c := range []struct {
		name   string
		before func(a *Absence)
		back   time.Duration // until a link comes; 0: never
		want   bool
		after  time.Duration
	}{
		{"never there", func(*Absence) {}, time.Second, false, 0},
		{"gone now", func(a *Absence) { a.End(); a.Begin() }, time.Second, true, time.Second},
		{"gone, and stays away", func(a *Absence) { a.End(); a.Begin() }, 0, false, limit},
		{"gone for a while", func(a *Absence) { a.End(); a.Begin(); time.Sleep(15 * time.Second); a.Begin() }, 0, false, 5 * time.Second},
		{"gone for long", func(a *Absence) { a.End(); a.Begin(); time.Sleep(time.Minute) }, time.Second, false, 0},
		{"gone unnoticed", func(a *Absence) { a.End() }, 0, false, limit},
		{"came back before", func(a *Absence) { a.End(); a.Begin(); time.Sleep(time.Minute); a.End(); a.Begin() }, time.Second, true, time.Second},
		{"the daemon ends", func(a *Absence) { a.End(); a.Begin(); a.Ending = ending }, 0, false, Last},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := New(limit)
				c.before(a)
				next := a.Next()
				defer time.Sleep(time.Minute) // for who comes back too late
				if c.back > 0 {
					go func() { time.Sleep(c.back); a.End() }()
				}
				begun := time.Now()
				if got := a.Await(next); got != c.want || time.Since(begun) != c.after {
					t.Errorf("%v after %v, want %v after %v", got, time.Since(begun), c.want, c.after)
				}
			})
		})
	}
}

func TestEnded(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.EOF, true},
		{fmt.Errorf("greeting: %w", io.ErrUnexpectedEOF), true},
		{&os.PathError{Op: "write", Path: "link", Err: syscall.EPIPE}, true},
		{os.NewSyscallError("recvmsg", syscall.ECONNRESET), true},
		{os.NewSyscallError("recvmsg", syscall.ENOMEM), false},
		{os.NewSyscallError("sendmsg", syscall.ENOBUFS), false},
		{os.NewSyscallError("socketpair", syscall.EMFILE), false},
		{os.NewSyscallError("socketpair", syscall.ENFILE), false},
		{os.ErrDeadlineExceeded, false},
		{errors.New("it says nonsense"), false},
	} {
		if got := Ended(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
