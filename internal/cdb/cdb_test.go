package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

type record struct{ key, data string }

func build(t testing.TB, records ...record) []byte {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "cdb")
	err := Replace(path, path+".tmp", 0o644, func(w *Writer) error {
		for _, r := range records {
			if err := w.Add([]byte(r.key), []byte(r.data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func get(t *testing.T, db []byte, key string) (string, bool) {
	t.Helper()
	c, err := NewReader(bytes.NewReader(db), int64(len(db)))
	if err != nil {
		t.Fatal(err)
	}
	data, found, err := c.Get([]byte(key))
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	if err := c.KeepHeader(); err != nil {
		t.Fatal(err)
	}
	if again, stays, err := c.Get([]byte(key)); string(again) != string(data) || stays != found || err != nil {
		t.Fatalf("Get(%q) with the header kept: %q, %v, %v", key, again, stays, err)
	}
	return string(data), found
}

func TestFirstRecordWins(t *testing.T) {
	t.Parallel()
	db := build(t, record{"a", "1"}, record{"", "empty key"}, record{"a", "2"}, record{"b\x00", ""})
	for _, c := range []struct {
		key, want string
		found     bool
	}{{"a", "1", true}, {"", "empty key", true}, {"b\x00", "", true}, {"b", "", false}, {"A", "", false}} {
		if got, found := get(t, db, c.key); got != c.want || found != c.found {
			t.Errorf("Get(%q) = %q, %v; want %q, %v", c.key, got, found, c.want, c.found)
		}
	}
}

// The published layout, byte by byte, for one record: other programs read our
// files and we read theirs (spec section 3.5).
func TestLayoutOfOneRecord(t *testing.T) {
	t.Parallel()
	db := build(t, record{"one", "Hello"})
	const recordEnd = headerSize + 8 + 3 + 5
	h := hash([]byte("one"))
	want := make([]byte, recordEnd+2*pairSize)
	for i := range uint32(tables) {
		pos, slots := uint32(recordEnd), uint32(0)
		if i == h%tables {
			slots = 2
		}
		if i > h%tables {
			pos += 2 * pairSize
		}
		binary.LittleEndian.PutUint32(want[i*8:], pos)
		binary.LittleEndian.PutUint32(want[i*8+4:], slots)
	}
	copy(want[headerSize:], "\x03\x00\x00\x00\x05\x00\x00\x00oneHello")
	slot := recordEnd + h/256%2*8
	binary.LittleEndian.PutUint32(want[slot:], h)
	binary.LittleEndian.PutUint32(want[slot+4:], headerSize)
	if !bytes.Equal(db, want) {
		t.Errorf("database differs from the published layout")
	}
	if h != 193420161 { // 5381, then h*33 xor byte for o, n, e
		t.Errorf("hash(one) = %d", h)
	}
}

func TestManyRecords(t *testing.T) {
	t.Parallel()
	var records []record
	for i := range 3000 {
		records = append(records, record{fmt.Sprintf("!user%d", i), fmt.Sprintf("data %d", i)})
	}
	db := build(t, records...)
	for _, r := range records {
		if got, found := get(t, db, r.key); !found || got != r.data {
			t.Fatalf("Get(%q) = %q, %v", r.key, got, found)
		}
	}
	if _, found := get(t, db, "!user3000"); found {
		t.Error("found a key that was never added")
	}
}

// counted counts the reads of a file.
type counted struct {
	*bytes.Reader
	reads int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

// The number of reads does not grow with the database: with a hundred users or
// with a hundred thousand, a lookup costs the same.
func TestReads(t *testing.T) {
	t.Parallel()
	for _, users := range []int{100, 100_000} {
		records := make([]record, users)
		for i := range records {
			records[i] = record{fmt.Sprintf("!user%d\x00", i), "data"}
		}
		db := build(t, records...)
		file := &counted{Reader: bytes.NewReader(db)}
		c, err := NewReader(file, int64(len(db)))
		if err != nil {
			t.Fatal(err)
		}
		for _, pass := range []struct {
			keep bool
			want float64
		}{{false, 3}, {true, 2}} {
			if pass.keep {
				if err := c.KeepHeader(); err != nil {
					t.Fatal(err)
				}
			}
			file.reads = 0
			for _, r := range records {
				if _, found, err := c.Get([]byte(r.key)); !found || err != nil {
					t.Fatalf("%q: %v, %v", r.key, found, err)
				}
			}
			if each := float64(file.reads) / float64(users); each > pass.want+0.25 {
				t.Errorf("%d users, header kept %v: %.2f reads a lookup", users, pass.keep, each)
			}
		}
	}
}

func TestFailedFillLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cdb")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := errors.New("bad line")
	err := Replace(path, path+".tmp", 0o644, func(w *Writer) error {
		if err := w.Add([]byte("k"), []byte("v")); err != nil {
			return err
		}
		return sentinel
	})
	if !errors.Is(err, sentinel) {
		t.Errorf("err = %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("old file now holds %q", b)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file left: %v", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	sound := build(t, record{"key", "data"}, record{"key2", "data"})
	for cut := range len(sound) {
		c, err := NewReader(bytes.NewReader(sound[:cut]), int64(cut))
		if err != nil {
			continue
		}
		if data, found, err := c.Get([]byte("key")); err == nil && found && string(data) != "data" {
			t.Fatalf("cut at %d: wrong data %q", cut, data)
		}
	}
	if _, err := NewReader(bytes.NewReader(nil), 0); !errors.Is(err, ErrFormat) {
		t.Errorf("empty file: %v", err)
	}
	full := bytes.Clone(sound) // a table without an empty slot must still end
	h := hash([]byte("absent"))
	pos := len(full)
	for range 2 {
		full = binary.LittleEndian.AppendUint32(full, h+256)
		full = binary.LittleEndian.AppendUint32(full, headerSize)
	}
	binary.LittleEndian.PutUint32(full[h%256*8:], uint32(pos))
	binary.LittleEndian.PutUint32(full[h%256*8+4:], 2)
	if _, found := get(t, full, "absent"); found {
		t.Error("found in a full table of others")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(build(f, record{"!joe\x00", "joe\x0010\x0010\x00/home/joe\x00\x00"}, record{"", "-"}), []byte("!joe\x00"))
	f.Add(make([]byte, headerSize), []byte(""))
	f.Fuzz(func(t *testing.T, db, key []byte) {
		c, err := NewReader(bytes.NewReader(db), int64(len(db)))
		if err != nil {
			return
		}
		data, found, err := c.Get(key)
		if found && err != nil {
			t.Error("found with an error")
		}
		if !found && data != nil {
			t.Error("data without a record")
		}
		if c.KeepHeader() != nil {
			t.Fatal("the header cannot be kept")
		}
		if again, stays, againErr := c.Get(key); !bytes.Equal(again, data) || stays != found || (againErr == nil) != (err == nil) {
			t.Error("another answer with the header kept")
		}
	})
}
