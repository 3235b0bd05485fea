package queuedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOpenOnlyFiles: what stands in the place of a file of the queue is neither
// followed nor waited for.
func TestOpenOnlyFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		put  func(path string) error
		want error
	}{
		{"nothing", func(string) error { return nil }, fs.ErrNotExist},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, ErrNotFile},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, ErrNotFile},
		{"a link", func(path string) error { return os.Symlink("/etc/passwd", path) }, syscall.ELOOP},
	} {
		l := Layout{Root: t.TempDir()}
		if err := errors.Join(os.MkdirAll(l.NewDir(testID.Bucket()), 0o700), c.put(l.Entry(testID))); err != nil {
			t.Fatal(err)
		}
		if f, err := OpenFile(l.Entry(testID)); f != nil || !errors.Is(err, c.want) {
			t.Errorf("file that is %s: %v, want %v", c.name, err, c.want)
		}
		if e, err := OpenEntry(l, testID); e != nil || !errors.Is(err, c.want) {
			t.Errorf("entry that is %s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestBodyThatIsNoFile: it may be mended, so that nothing is said of the
// message.
func TestBodyThatIsNoFile(t *testing.T) {
	t.Parallel()
	l := writeEntry(t, entryBytes(t, strings.Repeat("y", MaxInlineBody+1), false, 1), "")
	if err := os.Mkdir(l.Body(testID), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEntry(l, testID)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := e.Body(); f != nil || !errors.Is(err, ErrNotFile) {
		t.Errorf("body: %v", err)
	}
	if err := e.CheckBody(); !errors.Is(err, ErrNotFile) {
		t.Errorf("check: %v", err)
	}
}

// TestOpenDir: only a directory, and not by a link.
func TestOpenDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.Symlink(dir, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.Readdirnames(-1); len(names) != 2 || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	for _, name := range []string{link, pipe, filepath.Join(dir, "missing")} {
		if f, err := OpenDir(name); err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
}
