package fate

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestClassOf(t *testing.T) {
	perm := Perm("1.1", "no such mailbox", "look up joe", nil)
	temp := Temp("", "disk full", "write tmp/1", syscall.ENOSPC)
	for _, c := range []struct {
		name string
		err  error
		want Class
	}{
		{"unknown is temporary", errors.New("x"), Temporary},
		{"nil is temporary", nil, Temporary},
		{"permanent", perm, Permanent},
		{"wrapped permanent", fmt.Errorf("more: %w", perm), Permanent},
		{"temporary", temp, Temporary},
		{"outermost wins", Temp("0.0", "t", "op", perm), Temporary},
	} {
		if got := ClassOf(c.err); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := temp.Status(); got != "4.3.0" {
		t.Errorf("status without code: got %s", got)
	}
	if got := perm.Status(); got != "5.1.1" {
		t.Errorf("status: got %s", got)
	}
	if got := temp.Error(); got != "write tmp/1: no space left on device" {
		t.Errorf("log form: got %q", got)
	}
}

func TestIsShortage(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.EMFILE: true, syscall.ENOMEM: true, syscall.ECONNREFUSED: false, errors.New("x"): false,
		&fs.PathError{Op: "open", Path: "x", Err: syscall.ENFILE}: true,
	} {
		if got := IsShortage(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}

func TestIsTemporaryErrno(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.ENOSPC: true,
		syscall.ENOENT: false,
		syscall.EACCES: false,
		&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}: true,
		errors.New("x"): false,
	} {
		if got := IsTemporaryErrno(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}
