package policy

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "postrider/internal/wire/policy"
)

// movable is a clock that a test moves.
type movable struct{ now time.Time }

func (c *movable) Now() time.Time                          { return c.now }
func (c *movable) At(time.Time) (<-chan time.Time, func()) { return nil, func() {} }

const delay = 5 * time.Minute

func newTestList() (*greylist, *movable) {
	c := &movable{time.Unix(1_800_000_000, 0)}
	return newGreylist(c), c
}

func triplet(client, sender, recipient string) wire.Triplet {
	return wire.Triplet{Client: netip.MustParseAddr(client), Sender: sender, Recipient: recipient}
}

func TestGreylist(t *testing.T) {
	t.Parallel()
	g, c := newTestList()
	for _, step := range []struct {
		name  string
		after time.Duration
		t     wire.Triplet
		want  time.Duration
	}{
		{"first", 0, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), delay},
		{"too early", time.Minute, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), 4 * time.Minute},
		{"another recipient", 0, triplet("192.0.2.1", "joe@a.example", "jon@b.example"), delay},
		{"another sender", 0, triplet("192.0.2.1", "jan@a.example", "jim@b.example"), delay},
		{"another network", 0, triplet("192.0.3.1", "joe@a.example", "jim@b.example"), delay},
		{"the first again, from a neighbour", 4 * time.Minute, triplet("192.0.2.200", "Joe@A.example", "JIM@b.example"), 0},
		{"and at once", 0, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), 0},
		{"a month later", 35 * 24 * time.Hour, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), 0},
		{"and another", 35 * 24 * time.Hour, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), 0},
		{"forgotten", 37 * 24 * time.Hour, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), delay},
		{"given up", 49 * time.Hour, triplet("192.0.2.1", "joe@a.example", "jim@b.example"), delay},
		{"IPv6", 0, triplet("2001:db8:0:1::1", "", "jim@b.example"), delay},
		{"IPv6 from a neighbour", delay, triplet("2001:db8:0:1::2", "", "jim@b.example"), 0},
		{"IPv6 from the next network", 0, triplet("2001:db8:0:2::1", "", "jim@b.example"), delay},
		{"a list", 0, triplet("192.0.4.1", "list-return-123-jim=b.example@l.example", "jim@b.example"), delay},
		{"its next message", delay, triplet("192.0.4.1", "list-return-4-jim=b.example@l.example", "jim@b.example"), 0},
		{"no domain", 0, triplet("192.0.5.1", "joe", "jim"), delay},
	} {
		c.now = c.now.Add(step.after)
		if got := g.wait(step.t, delay); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// A network whose mail came back again and again waits no more.
func TestNetworkIsTrusted(t *testing.T) {
	t.Parallel()
	g, c := newTestList()
	for i := range trustedAfter {
		to := triplet("192.0.2.1", "joe@a.example", fmt.Sprintf("jim%c@b.example", 'a'+i))
		if g.wait(to, delay) == 0 {
			t.Fatalf("trusted after %d", i)
		}
		c.now = c.now.Add(delay)
		if g.wait(to, delay) != 0 || g.wait(to, delay) != 0 {
			t.Fatal("waits too long")
		}
	}
	unseen := triplet("192.0.2.9", "x@y.example", "z@b.example")
	for range 3 {
		if g.wait(unseen, delay) != 0 {
			t.Error("not trusted")
		}
		c.now = c.now.Add(keptFor - time.Hour)
	}
	c.now = c.now.Add(2 * time.Hour)
	if g.wait(unseen, delay) == 0 {
		t.Error("trusted for ever")
	}
}

// A clock that was wrong costs no more than the delay.
func TestClockIsSetBack(t *testing.T) {
	t.Parallel()
	g, c := newTestList()
	one := triplet("192.0.2.1", "joe@a.example", "jim@b.example")
	g.wait(one, delay)
	c.now = c.now.Add(-1000 * time.Hour)
	if got := g.wait(one, delay); got != delay {
		t.Errorf("%v", got)
	}
	c.now = c.now.Add(delay)
	if got := g.wait(one, delay); got != 0 {
		t.Errorf("after the delay: %v", got)
	}
}

// A flood of what never comes back drives out no more than itself, mostly.
func TestGreylistIsBounded(t *testing.T) {
	t.Parallel()
	g, c := newTestList()
	g.most = 1000
	var good []wire.Triplet
	for i := range 100 {
		good = append(good, triplet(fmt.Sprintf("198.51.%d.1", i), "joe@a.example", "jim@b.example"))
		g.wait(good[i], delay)
	}
	c.now = c.now.Add(delay)
	for i := range good {
		g.wait(good[i], delay) // and its network
	}
	for i := range 20000 {
		g.wait(triplet("192.0.2.1", fmt.Sprintf("%c%c%c%c@a.example", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576), "jim@b.example"), delay)
		if len(g.table) > g.most || len(g.pending) > maxPending+recordSize {
			t.Fatalf("%d records, %d octets wait", len(g.table), len(g.pending))
		}
	}
	lost := 0
	for i := range good {
		if g.wait(good[i], delay) != 0 {
			lost++
		}
	}
	if lost > 20 {
		t.Errorf("%d of %d that came back are forgotten", lost, len(good))
	}
	c.now = c.now.Add(waitingFor + time.Hour)
	g.wait(triplet("203.0.113.1", "", "jim@b.example"), delay)
	if len(g.table) > 2*len(good)+1 {
		t.Errorf("%d records are left of those that expired", len(g.table))
	}
}

// reopened is the greylist that a file has.
func reopened(t *testing.T, path string, c *movable) (*greylist, *journal, int, error) {
	t.Helper()
	g := newGreylist(c)
	j := &journal{path: path}
	damaged, err := j.open(g)
	t.Cleanup(j.close)
	return g, j, damaged, err
}

func write(t *testing.T, j *journal, g *greylist) {
	t.Helper()
	if err := j.write(g); err != nil {
		t.Fatal(err)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "greylist")
	c := &movable{time.Unix(1_800_000_000, 0)}
	one, two := triplet("192.0.2.1", "joe@a.example", "jim@b.example"), triplet("192.0.2.1", "joe@a.example", "jon@b.example")
	g, j, _, err := reopened(t, path, c)
	if err != nil {
		t.Fatal(err)
	}
	write(t, j, g) // nothing
	if _, err := os.Stat(path); err == nil {
		t.Error("a file without records")
	}
	g.wait(one, delay)
	write(t, j, g)
	g.wait(two, delay)
	write(t, j, g)
	c.now = c.now.Add(delay)
	g.wait(one, delay)
	write(t, j, g)
	j.close()
	g, j, damaged, err := reopened(t, path, c)
	if err != nil || damaged > 0 || len(g.table) != 3 {
		t.Fatalf("%d records, %d damaged, %v", len(g.table), damaged, err)
	}
	if g.wait(one, delay) != 0 {
		t.Error("what came back is forgotten")
	}
	if g.wait(two, 2*delay) != delay {
		t.Error("when the first attempt was is forgotten")
	}
	g.wait(triplet("192.0.2.1", "", "jim@b.example"), delay)
	write(t, j, g) // behind what is there
	if g, _, _, err := reopened(t, path, c); err != nil || len(g.table) != 4 {
		t.Errorf("%d records, %v", len(g.table), err)
	}
	c.now = c.now.Add(keptFor + time.Hour)
	if g, _, _, err := reopened(t, path, c); err != nil || len(g.table) != 0 {
		t.Errorf("%d expired records, %v", len(g.table), err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "example") {
		t.Errorf("addresses are in the file, %v", err)
	}
}

// What was outdated goes when the file is written anew.
func TestJournalStaysSmall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "greylist")
	c := &movable{time.Unix(1_800_000_000, 0)}
	g, j, _, _ := reopened(t, path, c)
	one := triplet("192.0.2.1", "joe@a.example", "jim@b.example")
	g.wait(one, delay)
	c.now = c.now.Add(delay)
	for range 3 * spare {
		g.wait(one, delay)
		c.now = c.now.Add(touchEvery)
		write(t, j, g)
		if info, err := os.Stat(path); err != nil || info.Size() > (2*spare)*recordSize {
			t.Fatalf("%v, %v", info.Size(), err)
		}
	}
	if g, _, damaged, err := reopened(t, path, c); err != nil || damaged > 0 || g.wait(one, delay) != 0 {
		t.Errorf("%d damaged, %v", damaged, err)
	}
}

// Each octet of the file may be wrong, and each length be the last one.
func TestJournalIsDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "greylist")
	c := &movable{time.Unix(1_800_000_000, 0)}
	g, j, _, _ := reopened(t, path, c)
	for i := range 3 {
		g.wait(triplet("192.0.2.1", "", fmt.Sprintf("jim%c@b.example", 'a'+i)), delay)
	}
	write(t, j, g)
	whole, err := os.ReadFile(path)
	if err != nil || len(whole) != 4*recordSize {
		t.Fatalf("%d octets, %v", len(whole), err)
	}
	for i := range whole {
		broken := append([]byte(nil), whole...)
		broken[i] ^= 0x40
		put(t, path, broken)
		g, j, damaged, err := reopened(t, path, c)
		switch {
		case i < recordSize && (err == nil || len(g.table) != 0):
			t.Errorf("octet %d: %d records, %v", i, len(g.table), err)
		case i >= recordSize && (err != nil || damaged != 1 || len(g.table) != 2):
			t.Errorf("octet %d: %d records, %d damaged, %v", i, len(g.table), damaged, err)
		}
		g.wait(triplet("192.0.2.1", "", "new@b.example"), delay)
		write(t, j, g)
		if again, _, damaged, err := reopened(t, path, c); err != nil || damaged > 0 || len(again.table) != len(g.table) {
			t.Errorf("octet %d: repaired as %d records, %d damaged, %v", i, len(again.table), damaged, err)
		}
	}
	for n := range whole {
		put(t, path, whole[:n])
		if g, _, damaged, err := reopened(t, path, c); len(g.table) > n/recordSize || damaged > 1 || n >= recordSize && err != nil {
			t.Errorf("%d octets: %d records, %d damaged, %v", n, len(g.table), damaged, err)
		}
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A disk that fails costs nothing but what it has not; it is tried again.
func TestJournalCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "policy")
	path := filepath.Join(dir, "greylist")
	c := &movable{time.Unix(1_800_000_000, 0)}
	g, j, _, err := reopened(t, path, c)
	if err != nil {
		t.Fatal(err)
	}
	one := triplet("192.0.2.1", "joe@a.example", "jim@b.example")
	g.wait(one, delay)
	if err := j.write(g); err == nil {
		t.Fatal("written where there is no directory")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, j, g) // nothing new has come
	if again, _, _, err := reopened(t, path, c); err != nil || len(again.table) != 1 {
		t.Errorf("%d records, %v", len(again.table), err)
	}
	g.wait(triplet("192.0.2.1", "", "jim@b.example"), delay)
	write(t, j, g)
	if again, _, _, err := reopened(t, path, c); err != nil || len(again.table) != 2 {
		t.Errorf("%d records, %v", len(again.table), err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(appendRecord(appendHeader(nil, [saltSize]byte{1}), key{2}, record{3, 4, 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, _ := newTestList()
		g.most = 8
		_, size, err := load(strings.NewReader(string(b)), g)
		if len(g.table) > g.most || err != nil && len(g.table) > 0 || size > maxFile(g.most) {
			t.Errorf("%d records, %d octets, %v", len(g.table), size, err)
		}
	})
}

func BenchmarkWait(b *testing.B) {
	g, _ := newTestList()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.wait(wire.Triplet{Client: client4, Sender: "joe@a.example", Recipient: fmt.Sprint(i, "@b.example")}, delay)
		g.pending = g.pending[:0]
	}
}
