package tcpto

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// open makes a home directory with a table of the given bytes.
func open(t *testing.T, content []byte) *Table {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, File)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Open(home, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

func list(t *testing.T, table *Table) string {
	t.Helper()
	var s Snapshot
	if err := table.Read(&s); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, e := range s.Entries() {
		text += fmt.Sprintf("%s %d %d|", e.Addr, e.Timeouts, e.Last.Unix())
	}
	if s.Empty() != (text == "") {
		t.Errorf("empty, with %s", text)
	}
	return text
}

func at(sec int64) time.Time { return time.Unix(sec, 0) }

func TestTable(t *testing.T) {
	t.Parallel()
	table := open(t, nil)
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	put := func(addr netip.Addr, n int, sec int64) {
		t.Helper()
		if err := table.Put(Entry{addr, n, at(sec)}); err != nil {
			t.Fatal(err)
		}
	}
	put(four, 1, 1000)
	put(six, 2, 2000)
	put(four, 11, 3000)
	if got := list(t, table); got != "192.0.2.1 10 3000|2001:db8::1 2 2000|" {
		t.Errorf("got %s", got)
	}
	if text, err := os.ReadFile(table.f.Name()); err != nil || hex.EncodeToString(text[:size4]) != "c00002010a000000b80b000000000000" {
		t.Errorf("record %x, %v", text[:size4], err)
	}
	if err := table.Forget(four); err != nil {
		t.Fatal(err)
	}
	if err := table.Forget(four); err != nil {
		t.Fatal(err)
	}
	if got := list(t, table); got != "2001:db8::1 2 2000|" {
		t.Errorf("got %s", got)
	}
	if err := table.Clear(); err != nil || list(t, table) != "" {
		t.Errorf("after Clear: %s, %v", list(t, table), err)
	}
}

// TestRoom: of more than 64 hosts the one goes that is needed least.
func TestRoom(t *testing.T) {
	t.Parallel()
	table := open(t, nil)
	for i := range records {
		n := 1
		if i == 0 {
			n = 3 // the oldest, with so many timeouts that it stays
		}
		if err := table.Put(Entry{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), n, at(1000 + int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Put(Entry{netip.AddrFrom4([4]byte{10, 0, 1, 1}), 1, at(5000)}); err != nil {
		t.Fatal(err)
	}
	var s Snapshot
	if err := table.Read(&s); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{"10.0.0.0": true, "10.0.0.1": false, "10.0.0.2": true, "10.0.1.1": true} {
		if _, found := s.Look(netip.MustParseAddr(addr)); found != want {
			t.Errorf("%s: %v", addr, found)
		}
	}
}

// TestQmailsTable reads what qmail has written: 1024 bytes.
func TestQmailsTable(t *testing.T) {
	t.Parallel()
	b := make([]byte, begin6)
	copy(b[size4:], "\xc0\x00\x02\x05\x02\x00\x00\x00\x10\x27\x00\x00")
	table := open(t, b)
	if got := list(t, table); got != "192.0.2.5 2 10000|" {
		t.Errorf("got %s", got)
	}
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	var table *Table
	var s Snapshot
	if err := table.Read(&s); err != nil || !s.Empty() {
		t.Error("a table that is not there holds something")
	}
	if table.Put(Entry{}) != nil || table.Forget(netip.Addr{}) != nil {
		t.Error("a table that is not there complains")
	}
	if _, err := Open(t.TempDir(), true); err == nil {
		t.Error("opened without a file")
	}
}
