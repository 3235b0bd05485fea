package cdb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "cdb")
	if err := os.WriteFile(path, build(t, record{"a", "1"}, record{"a", "2"}, record{"b", "3"}), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, found, err := c.Get([]byte("b")); string(data) != "3" || !found || err != nil {
		t.Errorf("%q, %v, %v", data, found, err)
	}
	if n, err := c.Records(); n != 3 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Get([]byte("b")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after it was closed: %v", err)
	}
	if _, err := c.Records(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("records after it was closed: %v", err)
	}
	if err := c.KeepHeader(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("header after it was closed: %v", err)
	}
	if c, err := NewReader(bytes.NewReader(make([]byte, headerSize)), headerSize); err != nil || c.Close() != nil {
		t.Errorf("a reader without a file: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		put  func(path string) error
		want error
	}{
		{"missing", func(string) error { return nil }, fs.ErrNotExist},
		{"pipe", func(path string) error { return syscall.Mkfifo(path, 0o644) }, ErrFormat},
		{"directory", func(path string) error { return os.Mkdir(path, 0o755) }, ErrFormat},
		{"too short", func(path string) error { return os.WriteFile(path, make([]byte, headerSize-1), 0o644) }, ErrFormat},
		{"too long", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, maxFile+1))
		}, ErrFormat},
	} {
		path := filepath.Join(t.TempDir(), "cdb")
		if err := c.put(path); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if r != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if plain := !strings.Contains(fmt.Sprint(err), "no plain file"); plain == (c.name == "pipe" || c.name == "directory") {
			t.Errorf("%s: %v", c.name, err)
		}
		stillOpen(t, path)
	}
	if _, err := NewReader(bytes.NewReader(nil), maxFile); err != nil {
		t.Errorf("the largest file: %v", err)
	}
}

// stillOpen complains if path is open in this process.
func stillOpen(t *testing.T, path string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && target == path {
			t.Errorf("%s is still open", path)
		}
	}
}

// shape is a file of one table with one slot, and what the slot's record says.
func shape(key string, table, slots, recordAt, keyLen, dataLen uint32, behind string) []byte {
	h := hash([]byte(key))
	b := make([]byte, headerSize)
	binary.LittleEndian.PutUint32(b[h%tables*pairSize:], table)
	binary.LittleEndian.PutUint32(b[h%tables*pairSize+4:], slots)
	for _, n := range []uint32{h, recordAt, keyLen, dataLen} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return append(b, behind...)
}

// TestPositions: no number of a file leads out of it, nor into its header.
func TestPositions(t *testing.T) {
	t.Parallel()
	const slotAt, recordAt = headerSize, headerSize + pairSize
	for _, c := range []struct {
		name                                    string
		table, slots, recordAt, keyLen, dataLen uint32
		behind                                  string
		found                                   bool
		want                                    error
	}{
		{"sound", slotAt, 1, recordAt, 3, 4, "keydata", true, nil},
		{"sound, bytes behind it", slotAt, 1, recordAt, 3, 4, "keydataX", true, nil},
		{"no slots", slotAt, 0, recordAt, 3, 4, "keydata", false, nil},
		{"empty slot", slotAt, 1, 0, 3, 4, "keydata", false, nil},
		{"table in the header", slotAt - 1, 1, recordAt, 3, 4, "keydata", false, ErrFormat},
		{"table that ends with the file", slotAt, 2, 0, 3, 4, "", false, nil},
		{"table behind the file", slotAt, 3, 0, 3, 4, "keydata", false, ErrFormat},
		{"record in the header", slotAt, 1, headerSize - 1, 3, 4, "keydata", false, ErrFormat},
		{"record that begins behind the file", slotAt, 1, recordAt + 8, 3, 4, "keydata", false, ErrFormat},
		{"record that ends behind the file", slotAt, 1, recordAt, 3, 5, "keydata", false, ErrFormat},
		{"record that ends behind the file, with a key of another length", slotAt, 1, recordAt, 2, 6, "keydata", false, ErrFormat},
		{"key of another length", slotAt, 1, recordAt, 2, 4, "keydata", false, nil},
		{"another key", slotAt, 1, recordAt, 3, 4, "kexdata", false, nil},
		{"record without data", slotAt, 1, recordAt, 3, 0, "key", true, nil},
		{"as long as one read", slotAt, 1, recordAt, 3, recordRead - pairSize - 3, "key" + strings.Repeat("x", recordRead), true, nil},
		{"longer than one read", slotAt, 1, recordAt, 3, recordRead, "key" + strings.Repeat("x", recordRead), true, nil},
		{"longer than one read, another key", slotAt, 1, recordAt, 3, recordRead, "kex" + strings.Repeat("x", recordRead), false, nil},
		{"the most data", slotAt, 1, recordAt, 3, MaxData, "key" + strings.Repeat("x", MaxData), true, nil},
		{"too much data", slotAt, 1, recordAt, 3, MaxData + 1, "key" + strings.Repeat("x", MaxData+1), false, ErrFormat},
		{"too much data of another key", slotAt, 1, recordAt, 3, MaxData + 1, "kex" + strings.Repeat("x", MaxData+1), false, nil},
	} {
		b := shape("key", c.table, c.slots, c.recordAt, c.keyLen, c.dataLen, c.behind)
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		data, found, err := r.Get([]byte("key"))
		if found != c.found || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: found %v, %v", c.name, found, err)
		}
		if found && string(data) != c.behind[c.keyLen:c.keyLen+c.dataLen] {
			t.Errorf("%s: %d bytes of data", c.name, len(data))
		}
	}
}

// TestSameHash: the hash alone makes no record the one that is looked for.
func TestSameHash(t *testing.T) {
	t.Parallel()
	h := hash([]byte("key"))
	// The hash says with which of the two slots a lookup begins.
	for _, records := range [][2]string{{"kex1", "key2"}, {"key2", "kex1"}} {
		b := shape("key", headerSize, 2, headerSize+2*pairSize, 0, 0, "")[:headerSize+pairSize]
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, h), headerSize+3*pairSize+4)
		for _, r := range records {
			b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 3), 1)
			b = append(b, r...)
		}
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if data, found, err := r.Get([]byte("key")); string(data) != "2" || !found || err != nil {
			t.Errorf("%q: %q, %v, %v", records, data, found, err)
		}
	}
	b := shape("", headerSize, 1, headerSize+pairSize, 0, 0, "")
	r, err := NewReader(eager{bytes.NewReader(b)}, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if data, found, err := r.Get(nil); len(data) != 0 || !found || err != nil {
		t.Errorf("a record of nothing at the end: %q, %v, %v", data, found, err)
	}
}

// eager tells of the end together with the last bytes, as a reader may.
type eager struct{ *bytes.Reader }

func (e eager) ReadAt(p []byte, off int64) (int, error) {
	n, err := e.Reader.ReadAt(p, off)
	if err == nil && off+int64(n) == e.Size() {
		err = io.EOF
	}
	return n, err
}

// TestLargestDatabase: all of it can be pointed to.
func TestLargestDatabase(t *testing.T) {
	t.Parallel()
	for beyond, want := range map[int64]error{0: nil, 1: ErrTooLarge} {
		w := &Writer{out: bufio.NewWriter(io.Discard), pos: maxFile - pairSize - 2 + beyond}
		if err := w.Add([]byte("k"), []byte("v")); err != want {
			t.Errorf("a record %d bytes behind the largest position: %v", beyond, err)
		}
		w = &Writer{out: bufio.NewWriter(io.Discard), pos: maxFile - slotsEach*pairSize + beyond}
		w.entries[tables-1] = []entry{{tables - 1, headerSize}} // behind it nothing is looked at
		if _, err := w.finish(); err != want {
			t.Errorf("tables %d bytes behind the largest position: %v", beyond, err)
		}
	}
}

// TestLargestRead: a record that is too large is not read, whoever's it is
// (invariant 1).
func TestLargestRead(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"key", "kex"} {
		b := shape("key", headerSize, 1, headerSize+pairSize, 3, MaxData+1, key+strings.Repeat("x", MaxData+1))
		f := &measured{Reader: bytes.NewReader(b)}
		r, err := NewReader(f, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, found, err := r.Get([]byte("key")); found || errors.Is(err, ErrFormat) != (key == "key") {
			t.Errorf("%s: %v, %v", key, found, err)
		}
		if f.largest > recordRead {
			t.Errorf("%s: %d bytes were read at once", key, f.largest)
		}
	}
}

// measured knows the largest read.
type measured struct {
	*bytes.Reader
	largest int
}

func (m *measured) ReadAt(p []byte, off int64) (int, error) {
	m.largest = max(m.largest, len(p))
	return m.Reader.ReadAt(p, off)
}

// TestReadErrors: at whatever read the disk fails, it is an error, and not a
// record that is missing.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	b := shape("key", headerSize, 1, headerSize+pairSize, 3, recordRead, "key"+strings.Repeat("x", recordRead))
	for n := 0; ; n++ {
		f := &failing{Reader: bytes.NewReader(b), left: n}
		r, err := NewReader(f, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		_, found, err := r.Get([]byte("key"))
		if found {
			if n != 4 {
				t.Errorf("%d reads", n)
			}
			break
		}
		if err != errBroken {
			t.Fatalf("read %d: %v", n+1, err)
		}
	}
	if r, err := NewReader(bytes.NewReader(b), int64(len(b))+20); err != nil || r.readAt(make([]byte, 20), int64(len(b))-5) != ErrFormat {
		t.Errorf("a file that became shorter: %v", err)
	}
}

var errBroken = errors.New("EIO")

// failing reads so often, and then fails.
type failing struct {
	*bytes.Reader
	left int
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errBroken
	}
	return f.Reader.ReadAt(p, off)
}

// TestReplaceFails: what cannot be written leaves the old file and nothing
// else.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	add := func(w *Writer) error { return w.Add([]byte("k"), []byte("v")) }
	tooLarge := func(w *Writer) error {
		w.pos = maxFile - pairSize - 1
		return w.Add([]byte("k"), []byte("v"))
	}
	for _, c := range []struct {
		name string
		tmp  string
		put  func(dir string) error
		fill func(*Writer) error
		want error
	}{
		{"no directory", "missing/tmp", nil, add, fs.ErrNotExist},
		{"a link", "tmp", func(dir string) error { return os.Symlink(dir+"/cdb", dir+"/tmp") }, add, syscall.ELOOP},
		{"a pipe", "tmp", func(dir string) error { return syscall.Mkfifo(dir+"/tmp", 0o600) }, add, syscall.ENXIO},
		{"a record that is too large", "tmp", nil, tooLarge, ErrTooLarge},
		{"tables that are too large", "tmp", nil, func(w *Writer) error {
			err := add(w)
			w.pos = maxFile - pairSize // for two slots
			return err
		}, ErrTooLarge},
		{"a directory in its place", "tmp", func(dir string) error { return errors.Join(os.Remove(dir+"/cdb"), os.MkdirAll(dir+"/cdb/old", 0o700)) }, add, fs.ErrExist},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "cdb")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.put != nil {
			if err := c.put(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := Replace(path, filepath.Join(dir, c.tmp), 0o644, c.fill); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if b, err := os.ReadFile(path); err == nil && string(b) != "old" {
			t.Errorf("%s: the old file holds %q", c.name, b)
		}
	}
	if err := ignoreMissing(errBroken); err != errBroken {
		t.Errorf("another error is %v", err)
	}
	if err := syncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory is synced: %v", err)
	}
	if err := syncDir("/proc"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a directory without a disk is synced: %v", err)
	}
	dir := t.TempDir()
	if err := syncDir(dir); err != nil {
		t.Errorf("a directory is not synced: %v", err)
	}
	stillOpen(t, dir)
}

// TestOthersDirectory: what cannot be done durably, or with the mode that is
// asked for, is an error.
func TestOthersDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	const nobody = 65534
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o300)); err != nil {
		t.Fatal(err)
	}
	above := filepath.Dir(dir)
	was, err := os.Stat(above)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(above, was.Mode()|0o111); err != nil {
		t.Fatal(err)
	}
	// This thread alone becomes nobody to the file system.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0) // for the removal of the directory
	nothing := func(*Writer) error { return nil }
	path := filepath.Join(dir, "cdb")
	err = Replace(path, path+".tmp", 0o644, nothing)
	if told, ok := errors.AsType[*fs.PathError](err); !ok || told.Path != dir || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a directory that cannot be synced: %v", err)
	}
	if err := write(file, 0o644, nothing); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file of somebody else: %v", err)
	}
}

// TestReplaceWithoutItsFile: that there is nothing to clean up is no second
// error.
func TestReplaceWithoutItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cdb")
	err := Replace(path, path+".tmp", 0o644, func(*Writer) error { return os.Remove(path + ".tmp") })
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "remove") {
		t.Errorf("%v", err)
	}
}

// TestWriteErrors: a full disk is noticed at whatever byte.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, size := range []int{1, 200 << 10} {
		fill := func(w *Writer) error { return w.Add([]byte("k"), make([]byte, size)) }
		mode, err := full.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := write(full, mode.Mode(), fill); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	mode, err := null.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := write(null, mode.Mode(), func(*Writer) error { return nil }); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("what cannot be synced: %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := write(f, 0o600, nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := write(w, 0o600, nil); !errors.Is(err, syscall.ESPIPE) {
		t.Errorf("a pipe: %v", err)
	}
	appended, err := os.OpenFile(f.Name(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer appended.Close()
	if err := write(appended, 0o600, func(*Writer) error { return nil }); err == nil {
		t.Error("the header was written nowhere")
	}
}

// TestMode: the mode is the one that is asked for, whatever the mask is.
func TestMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o666} {
		path := filepath.Join(t.TempDir(), "cdb")
		if err := Replace(path, path+".tmp", mode, func(*Writer) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode %v, want %v; %v", info.Mode(), mode, err)
		}
	}
}

// TestRecords: Records counts what was added, whatever the keys.
func TestRecords(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 1000} {
		var records []record
		for i := range n {
			records = append(records, record{fmt.Sprint(i / 2), "x"})
		}
		db := build(t, records...)
		c, err := NewReader(bytes.NewReader(db), int64(len(db)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Records(); got != int64(n) || err != nil {
			t.Errorf("%d of %d records, %v", got, n, err)
		}
	}
}
