package figures

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// newArea returns an area and what is counted into it and read from it.
func newArea(t testing.TB, number int, program string) (*Counts, Area, *os.File) {
	t.Helper()
	f, err := NewArea(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	read, err := ReadOnly(f)
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenArea(number, program, read)
	if err != nil {
		t.Fatal(err)
	}
	c := &Counts{}
	if err := c.Use(Layout(), f); err != nil {
		t.Fatal(err)
	}
	return c, a, f
}

// series returns a sample of a row, or nil.
func series(families []Family, id ID, labels ...string) *Sample {
	for _, f := range families {
		for _, s := range f.Samples {
			if f.Name == here.rows[id].Name && slices.Equal(s.Labels, labels) {
				return &s
			}
		}
	}
	return nil
}

func TestCounting(t *testing.T) {
	t.Parallel()
	start, owner, _ := newArea(t, 0, "qmail-start")
	smtpd, atSMTPD, f := newArea(t, 1, "qmail-smtpd")
	send, atSend, _ := newArea(t, 2, "qmail-send")
	for area := range 3 {
		start.Live(area, true)
	}
	all := []Area{atSMTPD, atSend}
	smtpd.Add(SMTPSessionsBegun, 0, 3)
	smtpd.Add(SMTPSessions, 0, 3)
	smtpd.Add(SMTPSessions, 0, -1)
	smtpd.Add(SMTPRefusals, RuleSeries("rcpthosts"), 2)
	smtpd.Add(SMTPRefusals, RuleSeries("no such rule"), 1)
	send.Add(Deliveries, DeliverySeries(LocalDestination, Failure), 5)
	send.Set(QueueMessages, 0, 0)
	for _, micros := range []int64{-5, 0, 1000, 1001, 5e9} {
		send.Observe(DeliverySeconds, 1, micros)
	}
	got := Read(owner, all)
	for _, c := range []struct {
		id     ID
		labels []string
		want   float64
	}{
		{SMTPSessionsBegun, nil, 3}, {SMTPSessions, nil, 2}, {SMTPRefusals, []string{"rcpthosts"}, 2}, {SMTPRefusals, []string{"other"}, 1},
		{Deliveries, []string{"local", "local", "failure"}, 5}, {Deliveries, []string{"remote", "well", "failure"}, 0},
		{QueueMessages, []string{"new"}, 0},
	} {
		if s := series(got, c.id, c.labels...); s == nil || s.Value != c.want {
			t.Errorf("%s %v: got %+v, want %v", here.rows[c.id].Name, c.labels, s, c.want)
		}
	}
	if s := series(got, QueueMessages, "held"); s != nil {
		t.Errorf("a gauge that nobody has set is told: %+v", s)
	}
	h := series(got, DeliverySeconds, "remote")
	if h.Count != 5 || h.Buckets[0] != 3 || h.Buckets[1] != 4 || h.Buckets[len(h.Buckets)-1] != 4 || math.Abs(h.Sum-5000.002001) > 1e-9 {
		t.Errorf("histogram: %+v", h)
	}
	// The process dies, and another one counts there.
	start.Live(1, false)
	if s := series(Read(owner, all), SMTPSessions); s.Value != 0 {
		t.Errorf("sessions of a process that is gone: %v", s.Value)
	}
	next := &Counts{}
	if err := next.Use(Layout(), f); err != nil {
		t.Fatal(err)
	}
	start.Live(1, true)
	next.Add(SMTPSessionsBegun, 0, 1)
	next.Add(SMTPSessions, 0, 1)
	got = Read(owner, all)
	if total, open := series(got, SMTPSessionsBegun), series(got, SMTPSessions); total.Value != 4 || open.Value != 1 {
		t.Errorf("behind a restart: %v sessions in all, %v open", total.Value, open.Value)
	}
}

// Those that nobody has given an area work alike.
func TestCountingWithoutAnArea(t *testing.T) {
	t.Parallel()
	for _, c := range []*Counts{nil, {}} {
		c.Add(SMTPSessions, 0, 1)
		c.Set(QueueOldest, 0, 1)
		c.Unset(QueueOldest, 0)
		c.Observe(QueueWait, 0, 1)
		c.Live(0, true)
		if c.Taken() {
			t.Error("an area was taken")
		}
	}
	_, _, f := newArea(t, 0, "qmail-smtpd")
	c := &Counts{}
	if err := c.Use("of another release", f); err != nil || c.Taken() {
		t.Errorf("an area of another layout: %v, taken %v", err, c.Taken())
	}
	if err := c.Use(Layout(), os.Stdin); err == nil || c.Taken() {
		t.Error("a file that is no area was taken")
	}
}

func TestCountersOfManyGoroutines(t *testing.T) {
	t.Parallel()
	c, a, _ := newArea(t, 1, "qmail-spool")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				c.Add(Accepted, ViaQMTP, 1)
				c.Observe(CommitSeconds, 0, int64(i))
				Read(Area{}, []Area{a})
			}
		})
	}
	wg.Wait()
	got := Read(Area{}, []Area{a})
	if n, h := series(got, Accepted, "qmtp").Value, series(got, CommitSeconds); n != 8000 || h.Count != 8000 {
		t.Errorf("%v and %d of 8000", n, h.Count)
	}
}

// TestReaderCannotWrite: not through the descriptor, not through the mapping, and
// not through one that it opens itself, if it is not root.
func TestReaderCannotWrite(t *testing.T) {
	t.Parallel()
	_, _, f := newArea(t, 0, "qmail-smtpd")
	read, err := ReadOnly(f)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := read.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("write: %v", err)
	}
	fd := int(read.Fd())
	if _, err := unix.Mmap(fd, 0, here.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != unix.EACCES {
		t.Errorf("a mapping to write: %v", err)
	}
	m, err := unix.Mmap(fd, 0, here.size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	if err := unix.Mprotect(m, unix.PROT_READ|unix.PROT_WRITE); err != unix.EACCES {
		t.Errorf("a mapping that is to be written: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	for _, size := range []int64{0, int64(here.size) - 1, int64(here.size) * 2} {
		if err := f.Truncate(size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncated to %d: %v", size, err)
		}
	}
}

// checkTold fails the test if families are not what a parser of any kind takes,
// or hold what a program may not say.
func checkTold(t *testing.T, families []Family, program string) {
	t.Helper()
	for _, f := range families {
		for _, s := range f.Samples {
			for _, n := range []float64{s.Value, s.Sum} {
				if math.IsNaN(n) || n < 0 || n > mostTold {
					t.Errorf("%s %v: %v", f.Name, s.Labels, n)
				}
			}
			last := uint64(0)
			for _, n := range append(slices.Clone(s.Buckets), s.Count) {
				if n < last || n > mostTold {
					t.Errorf("%s %v: buckets %d, %d in all", f.Name, s.Labels, s.Buckets, s.Count)
				}
				last = n
			}
			if !slices.Contains(f.By, program) && (s.Value != 0 || s.Count != 0 || s.Sum != 0) {
				t.Errorf("%s has told of %s: %+v", program, f.Name, s)
			}
			if len(s.Labels) != len(f.Labels) {
				t.Errorf("%s: labels %v of %v", f.Name, s.Labels, f.Labels)
			}
		}
	}
}

// TestWordsOfAHostileDaemon: whatever is in an area, what is told is well formed,
// and of the metrics of its program.
func TestWordsOfAHostileDaemon(t *testing.T) {
	t.Parallel()
	for _, word := range []uint64{1, 1 << 53, 1<<53 + 1, 1 << 63, math.MaxUint64, math.MaxInt64, 0x7ff0000000000001} {
		words := slices.Repeat([]uint64{word}, here.size/wordSize)
		for _, program := range []string{"qmail-smtpd", "qmail-send", "qmail-spool", "qmail-lspawn", "no program"} {
			checkTold(t, Read(Area{words: words}, []Area{
				{Number: 1, Program: program, words: words}, {Number: 2, Program: program, words: words},
			}), program)
		}
	}
}

// FuzzRead reads areas of any content and length.
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, []byte{}, 1)
	f.Add(slices.Repeat([]byte{0xff}, here.size), slices.Repeat([]byte{1}, here.size), 255)
	f.Add(slices.Repeat([]byte{0, 0, 0, 0, 0, 0, 0x20, 0}, 400), []byte{1}, -1)
	f.Fuzz(func(t *testing.T, of, owners []byte, number int) {
		words := func(b []byte) (w []uint64) {
			for len(b) >= wordSize {
				w, b = append(w, binary.NativeEndian.Uint64(b)), b[wordSize:]
			}
			return w
		}
		for _, program := range []string{"qmail-smtpd", "qmail-send"} {
			checkTold(t, Read(Area{words: words(owners)}, []Area{{number, program, words(of)}, {1, program, words(of)}}), program)
		}
	})
}

// TestTable: names are those that the conventions of Prometheus ask for, and no
// series is there twice.
func TestTable(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for id, m := range Table() {
		if names[m.Name] || !regexp.MustCompile(`^postrider_[a-z0-9_]+$`).MatchString(m.Name) || m.Help == "" || !strings.HasSuffix(m.Help, ".") || len(m.By) == 0 || m.Unit == 0 {
			t.Errorf("row %d: %+v", id, m)
		}
		names[m.Name] = true
		if total := strings.HasSuffix(m.Name, "_total"); total != (m.Kind == Counter) {
			t.Errorf("%s is of kind %d", m.Name, m.Kind)
		}
		seen := make(map[string]bool)
		for _, values := range m.Series {
			if key := strings.Join(values, "\x00"); seen[key] || len(values) != len(m.Labels) {
				t.Errorf("%s: series %q", m.Name, values)
			} else {
				seen[key] = true
			}
		}
		if m.Kind == Histogram != (len(m.Bounds) > 0) || !slices.IsSorted(m.Bounds) {
			t.Errorf("%s: bounds %v", m.Name, m.Bounds)
		}
		for _, program := range m.By {
			if program != "qmail-start" && !slices.Contains(Programs, program) {
				t.Errorf("%s is counted by %s", m.Name, program)
			}
		}
	}
	if here.size > 16<<10 {
		t.Errorf("an area has %d bytes", here.size)
	}
}

func BenchmarkAdd(b *testing.B) {
	c, _, _ := newArea(b, 0, "qmail-spool")
	for b.Loop() {
		c.Add(Accepted, ViaSMTP, 1)
	}
}

func BenchmarkObserve(b *testing.B) {
	c, _, _ := newArea(b, 0, "qmail-spool")
	for b.Loop() {
		c.Observe(CommitSeconds, 0, 3000)
	}
}
