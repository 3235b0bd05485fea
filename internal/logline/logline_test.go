package logline

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSafe(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "did_1+0+0/", "did_1+0+0/"},
		{"line ends, percent and blanks", "soft err 50%\n\nx", "soft_err_50_//x"},
		{"control and high bytes", "a\x00\t\x7f\xffz", "a____z"},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Safe(tc.in); got != tc.want {
				t.Errorf("Safe(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestLinesArriveInOrderAndCleaned(t *testing.T) {
	r, wf := pipe(t)
	w := NewWriter(wf)
	w.Line("first")
	w.Status("status: local 0/10 remote 0/20")
	w.Line("bad\nbytes\x00\xff")
	w.Close()
	wf.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want := "first\nstatus: local 0/10 remote 0/20\nbad_bytes__\n"
	if string(got) != want {
		t.Errorf("log is %q, want %q", got, want)
	}
	w.Line("after the end") // must not block or panic
}

// A blocked sink never blocks the caller, loses status lines first, and the
// loss is counted once the sink reads again (R24).
func TestBlockedSinkLosesStatusFirst(t *testing.T) {
	r, wf := pipe(t)
	w := NewWriter(wf)
	line := strings.Repeat("x", 99)
	const first = 800 // in one batch, and more than a pipe holds: the writer waits
	w.mu.Lock()
	for range first {
		w.pending = appendLine(w.pending, line)
	}
	w.wake.Signal()
	w.mu.Unlock()
	for waits := false; !waits; runtime.Gosched() {
		w.mu.Lock()
		waits = len(w.pending) == 0
		w.mu.Unlock()
	}
	const n = MaxPending * 7 / 10 / 100 // lines fit the buffer, both kinds together do not
	for range n {
		w.Line(line)
		w.Status("status: " + line)
	}
	w.mu.Lock()
	lost, lostStatus, pending := w.lost, w.lostStatus, len(w.pending)
	w.mu.Unlock()
	if lostStatus == 0 {
		t.Error("no status line was lost")
	}
	if lost != lostStatus {
		t.Errorf("%d lines lost of which only %d are status lines", lost, lostStatus)
	}
	if pending > MaxPending {
		t.Errorf("%d bytes pending, limit %d", pending, MaxPending)
	}

	scanner := bufio.NewScanner(r)
	for range first + n { // let the sink catch up
		if !scanner.Scan() {
			t.Fatal(scanner.Err())
		}
	}
	w.Line("last")
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "warning: log was blocked: "+strconv.Itoa(lost)+" lines lost, ") {
			return
		}
		if scanner.Text() == "last" {
			break
		}
	}
	t.Error("the loss was not reported before the next line")
}

func TestGoneSinkCostsOnlyLines(t *testing.T) {
	r, wf := pipe(t)
	r.Close()
	w := NewWriter(wf)
	for range 100 {
		w.Line("into the void")
	}
	w.Close()
}

func TestWritesAreWholeLinesUpToPipeBuf(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
	defer a.Close()
	defer b.Close()
	w := NewWriter(a)
	const n = 500
	for i := range n {
		w.Line(strconv.Itoa(i) + strings.Repeat("y", 80))
	}
	w.Line(strings.Repeat("z", 2*atomicWrite))
	buf := make([]byte, 4*atomicWrite)
	for lines, long := 0, false; lines < n || !long; {
		m, err := b.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if buf[m-1] != '\n' {
			t.Fatalf("a write ends inside a line: %q", buf[:m])
		}
		if strings.HasPrefix(string(buf[:m]), "z") {
			long = true
		} else if m > atomicWrite {
			t.Fatalf("a write of several lines has %d bytes", m)
		}
		lines += strings.Count(string(buf[:m]), "\n")
	}
	w.Close()
}
