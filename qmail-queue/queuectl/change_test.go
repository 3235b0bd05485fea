package queuectl

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// What is gone since it was chosen by what it was is no trouble; a number that was
// named is one.
func TestResultOfWhatIsGone(t *testing.T) {
	t.Parallel()
	gone := manage.Result{ID: queuedir.NewID(time.Now(), 1, 1), Outcome: manage.Missing}
	for _, named := range []bool{false, true} {
		var out bytes.Buffer
		r := &run{out: bufio.NewWriter(&out), choice: newChoice(time.Now())}
		if named {
			r.choice.ids = []queuedir.ID{gone.ID}
		}
		if err := r.result(gone); err != nil {
			t.Fatal(err)
		}
		if err := r.out.Flush(); err != nil {
			t.Fatal(err)
		}
		if r.failed != named || (out.Len() > 0) != named {
			t.Errorf("named: %v; failed: %v, %q", named, r.failed, out.String())
		}
	}
}

// A directory of the queue that is none is named, with what to do; the rest is
// listed.
func TestListBesideWhatIsNoDirectory(t *testing.T) {
	t.Parallel()
	home, ids := someQueue(t)
	dir := queuedir.At(home).NewDir(ids[0].Bucket())
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, home, "list")
	if code != exitTemporary || strings.Contains(stdout, ids[0].String()) || !strings.Contains(stdout, " messages, ") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
	if want := dir + ": not a directory; " + queuedir.DirAdvice; !strings.Contains(stderr, want) {
		t.Errorf("got %s, want %s", stderr, want)
	}
}
