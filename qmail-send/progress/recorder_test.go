package progress

import (
	"errors"
	"os"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

// An append continues behind what is good, and one after a failure is made
// into a file of its own.
func TestRecorder(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	w, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	m := testMessage{id: id(1), recipients: make([]string, 10)}
	due := testStart.Add(1234567 * time.Microsecond)
	write := func(size int64, rewrite bool, indexes ...int) int64 {
		t.Helper()
		lines := queuedir.AppendDelivered(nil, indexes)
		noDue, err := w.Write(Record{ID: m.id, Lines: lines, Size: size, Rewrite: rewrite, Due: due})
		if err != nil || noDue {
			t.Fatal(err, noDue)
		}
		info, err := os.Stat(h.layout.Info(m.id))
		if err != nil || !info.ModTime().Equal(due) || info.Mode() != 0o600 {
			t.Fatalf("%v, %v", info, err)
		}
		return size + int64(len(lines))
	}
	write(0, false)
	size := write(0, false, 1, 2)
	size = write(size, false, 3)
	// A torn tail of an earlier run is cut off.
	f, err := os.OpenFile(h.layout.Info(m.id), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("0123 garbage that is longer than the next line, so that it would show behind it"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	size = write(size, false, 4)
	if p := h.readInfo(t, m); p.Delivered != 4 || p.Size != size {
		t.Errorf("progress is %+v, want 4 delivered in %d bytes", p, size)
	}
	size = write(size, true, 5)
	if p := h.readInfo(t, m); p.Delivered != 5 || p.Size != size || !gone(w.spare(m.id)) {
		t.Errorf("progress is %+v, want 5 delivered in %d bytes", p, size)
	}
	if _, err := w.Write(Record{ID: m.id, Size: size + 100, Due: due}); err == nil {
		t.Error("a file that became shorter was appended to")
	}
	if err := errors.Join(w.Unlink(m.id), w.Unlink(m.id)); err != nil {
		t.Error(err)
	}
}
