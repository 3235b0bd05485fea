package mbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"postrider/internal/clock"
)

const header = "From se-nder@x-y Sun Nov 22 00:30:28 2026\nReturn-Path: <\"se nder\"@x y>\nDelivered-To: joe@host.dom\n"

// reference quotes line by line.
func reference(message string) string {
	var b strings.Builder
	for line := range strings.Lines(message) {
		if strings.HasPrefix(strings.TrimLeft(line, ">"), fromWord) {
			b.WriteByte('>')
		}
		b.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func quoted(t testing.TB, message string, chunk int) string {
	t.Helper()
	var out bytes.Buffer
	q := newQuoter(&out)
	for rest := message; rest != ""; {
		n := min(chunk, len(rest))
		if _, err := q.Write([]byte(rest[:n])); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := q.finish(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"", ""},
		{"\n", "\n"},
		{"From", "From\n"},
		{"From ", ">From \n"},
		{">>", ">>\n"},
		{">>\n", ">>\n"},
		{"From me\n>From you\nbody", ">From me\n>>From you\nbody\n"},
		{"FromX\n From me\nfrom me\n>>>From \n", "FromX\n From me\nfrom me\n>>>>From \n"},
		{"FFrom me\n>FrFrom \n", "FFrom me\n>FrFrom \n"},
		{"a\r\nFrom b\r\n", "a\r\n>From b\r\n"},
	} {
		for _, chunk := range []int{1, 2, 3, 1000} {
			if got := quoted(t, c[0], chunk); got != c[1] {
				t.Errorf("%q by %d: got %q, want %q", c[0], chunk, got, c[1])
			}
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("From me\n>From you", 1)
	f.Add(">>>Fro\nFrom \n\n>", 2)
	f.Fuzz(func(t *testing.T, message string, chunk int) {
		if got, want := quoted(t, message, max(1, chunk)), reference(message); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	})
}

// fake is an mbox in memory whose operation number failAt fails.
type fake struct {
	content []byte
	synced  bool
	named   bool
	locked  bool
	closed  bool
	others  func() bool // whether another holds the lock
	count   int
	failAt  int
	failErr error
}

func (f *fake) step() error {
	f.count++
	if f.count-1 == f.failAt {
		return f.failErr
	}
	return nil
}

func (f *fake) TryLock() (bool, error) {
	if f.others != nil && f.others() {
		return false, nil
	}
	err := f.step()
	f.locked = err == nil
	return f.locked, err
}

func (f *fake) Size() (int64, error) { return int64(len(f.content)), f.step() }

func (f *fake) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.step(); err != nil {
		return 0, err
	}
	return bytes.NewReader(f.content).ReadAt(p, offset)
}

func (f *fake) Write(p []byte) (int, error) {
	if !f.locked {
		return 0, errors.New("written without the lock")
	}
	f.synced = false
	if err := f.step(); err != nil {
		f.content = append(f.content, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	f.content = append(f.content, p...)
	return len(p), nil
}

func (f *fake) Truncate(size int64) error {
	f.content = f.content[:size]
	return f.step()
}

func (f *fake) Sync() error {
	err := f.step()
	f.synced = err == nil
	return err
}

func (f *fake) SyncName() error {
	err := f.step()
	f.named = err == nil
	return err
}

func (f *fake) Close() error {
	f.closed = true
	return f.step()
}

func TestEveryOperationFails(t *testing.T) {
	t.Parallel()
	message := "Subject: x\n\n" + strings.Repeat("0123456789abcde\n", 3*bufferSize/16)
	for _, before := range []string{"", "From old\n\n"} {
		for i := 0; ; i++ {
			f := &fake{content: []byte(before), failAt: i, failErr: syscall.ENOSPC}
			err := Append(clock.Real(), f, []byte(header), strings.NewReader(message))
			if err == nil && (string(f.content) != before+header+message+"\n" || !f.synced || !f.named && before == "") {
				t.Errorf("at %d: success, but %d bytes, synced %v, named %v", i, len(f.content), f.synced, f.named)
			}
			// A failing close comes after the sync: the message is there, and
			// will be again.
			if err != nil && string(f.content) != before && !f.synced {
				t.Errorf("at %d (%v): %d bytes are left", i, err, len(f.content))
			}
			if !f.closed {
				t.Errorf("at %d: left open", i)
			}
			if f.count <= i {
				break
			}
		}
	}
}

// What a killed delivery left must not swallow the message after it.
func TestMessageBeginsAfterAnEmptyLine(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"", ""}, {"x", "\n\n"}, {"\n", "\n"}, {"From a\n\nhalf a li", "\n\n"}, {"From a\n\nx\n", "\n"}, {"From a\n\n", ""}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "Mailbox")
		if err := os.WriteFile(path, []byte(c[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		f, err := Open(int(d.Fd()), "Mailbox")
		if err != nil {
			t.Fatal(err)
		}
		if err := Append(clock.Real(), f, []byte(header), strings.NewReader("y\n")); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if want := c[0] + c[1] + header + "y\n\n"; err != nil || string(got) != want {
			t.Errorf("after %q: got %q, %v; want %q", c[0], got, err, want)
		}
	}
}

func TestLockWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		f := &fake{failAt: -1, others: func() bool { return time.Since(begun) < 5*time.Second }}
		if err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n")); err != nil {
			t.Errorf("lock given up after 5 s: %v", err)
		}
		begun = time.Now()
		f = &fake{failAt: -1, others: func() bool { return true }}
		err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n"))
		if took := time.Since(begun); !errors.Is(err, ErrLocked) || took < lockWait || took > lockWait+time.Second {
			t.Errorf("lock held for ever: %v after %v", err, took)
		}
		if len(f.content) != 0 || !f.closed {
			t.Error("written without the lock, or left open")
		}
	})
	f := &fake{failAt: 0, failErr: syscall.ENOLCK}
	if err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n")); !errors.Is(err, ErrLock) || len(f.content) != 0 {
		t.Errorf("lock error: %v", err)
	}
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	f := &fake{content: []byte("old"), failAt: -1}
	err := Append(clock.Real(), f, []byte(header), iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<20))))
	if !errors.Is(err, ErrMessage) || string(f.content) != "old" {
		t.Errorf("%v, left %d bytes", err, len(f.content))
	}
}

// Vector A.5 of the specification, on disk.
func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var want string
	for range 2 {
		f, err := Open(int(d.Fd()), "./Mailbox")
		if err != nil {
			t.Fatal(err)
		}
		if err := Append(clock.Real(), f, []byte(header), strings.NewReader("Subject: x\n\nFrom me\n>From you\nbody")); err != nil {
			t.Fatal(err)
		}
		want += header + "Subject: x\n\n>From me\n>>From you\nbody\n\n"
		got, err := os.ReadFile(filepath.Join(dir, "Mailbox"))
		if err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "Mailbox"))
	if err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f, err := Open(int(d.Fd()), "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n")); err != nil {
		t.Errorf("/dev/null: %v", err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(int(d.Fd()), "fifo"); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("a FIFO nobody reads: %v", err)
	}
	if _, err := Open(int(d.Fd()), "."); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestLocksKeepAppendsApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first, err := Open(int(d.Fd()), "m")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(int(d.Fd()), "m")
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := first.TryLock(); !taken || err != nil {
		t.Fatal(taken, err)
	}
	if taken, err := second.TryLock(); taken || err != nil {
		t.Errorf("locked twice: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if taken, err := second.TryLock(); !taken || err != nil {
		t.Errorf("not given back: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
