package queuedir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// handedFile returns an open file that holds text.
func handedFile(t *testing.T, text []byte) *os.File {
	t.Helper()
	f, err := Memfd(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestHandedEntry: an entry whose files somebody else has opened is read like
// one of one's own, as often as it is asked for.
func TestHandedEntry(t *testing.T) {
	t.Parallel()
	outside := strings.Repeat("z", MaxInlineBody+1)
	for _, c := range []struct {
		name, body string
		recipients int
		inMemory   bool
	}{
		{"short", "Subject: x\n\nx\n", 2, true},
		{"in a file", strings.Repeat("y", maxInMemory), 1, false},
		{"body of its own", outside, 1, true},
		{"body of its own, many recipients", outside, 2000, false},
	} {
		inline := len(c.body) <= MaxInlineBody
		var body *os.File
		if !inline {
			body = handedFile(t, []byte(c.body))
		}
		e, err := HandedEntry(testID, handedFile(t, entryBytes(t, c.body, inline, c.recipients)), body)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if (e.f == nil) != c.inMemory {
			t.Errorf("%s: in memory: %v", c.name, e.f == nil)
		}
		if n, err := e.CountRecipients(); n != c.recipients || err != nil {
			t.Errorf("%s: %d recipients, %v", c.name, n, err)
		}
		for range 2 {
			f, err := e.Body()
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got, err := io.ReadAll(f); string(got) != c.body || err != nil {
				t.Errorf("%s: a body of %d bytes, %v", c.name, len(got), err)
			}
			f.Close()
		}
		if err := e.CheckBody(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		e.Close()
	}
}

// TestHandedEntryRefuses: nothing that was handed over is believed.
func TestHandedEntryRefuses(t *testing.T) {
	t.Parallel()
	short := entryBytes(t, "x\n", true, 1)
	long := entryBytes(t, strings.Repeat("y", maxInMemory), true, 1)
	damaged := bytes.Clone(long)
	damaged[maxInMemory] ^= 1 // the envelope
	closed := handedFile(t, long)
	closed.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, c := range []struct {
		name string
		f    *os.File
		want error
	}{
		{"closed", closed, fs.ErrClosed},
		{"short and torn", handedFile(t, short[1:]), ErrTorn},
		{"long and torn", handedFile(t, long[1:]), ErrTorn},
		{"damaged", handedFile(t, damaged), ErrDamaged},
		{"a pipe", r, ErrTorn},
	} {
		if e, err := HandedEntry(testID, c.f, nil); e != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name string
		body *os.File
		want error
	}{
		{"body that is closed", closed, syscall.EBADF},
		{"body that is a pipe", r, syscall.ESPIPE},
		{"body of another size", handedFile(t, short), ErrTorn},
	} {
		e, err := HandedEntry(testID, handedFile(t, entryBytes(t, strings.Repeat("y", MaxInlineBody+1), false, 1)), c.body)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := e.Body(); f != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err := e.CheckBody(); !errors.Is(err, c.want) {
			t.Errorf("%s, checked: %v, want %v", c.name, err, c.want)
		}
	}
}
