package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func openTemp(t *testing.T) (Tree, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree, dir
}

func TestTree(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	f, err := tree.Create("a", 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello world")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("J"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Datasync(), f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename("a", "sub/b"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Link("sub/b", "c"); err != nil {
		t.Fatal(err)
	}
	f, err = tree.Open("sub/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || string(got) != "Jello world" {
		t.Errorf("read %q, %v", got, err)
	}
	part := make([]byte, 5)
	if n, err := f.ReadAt(part, 6); err != nil || string(part[:n]) != "world" {
		t.Errorf("read at 6 %q, %v", part[:n], err)
	}
	if n, err := f.ReadAt(part, 9); err != io.EOF || string(part[:n]) != "ld" {
		t.Errorf("read at 9 %q, %v", part[:n], err)
	}
	info, err := f.Info()
	if err != nil || info.Size != 11 || !info.Regular || info.Links != 2 || info.UID != uint32(os.Getuid()) {
		t.Errorf("info %+v, %v", info, err)
	}
	if mode, err := os.Stat(dir + "/c"); err != nil || mode.Mode()&0o137 != 0 {
		t.Errorf("mode %v, %v", mode, err)
	}
	if err := tree.Unlink("c"); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Stat("c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after unlink: %v", err)
	}
}

// Names are never replaced (invariant 5).
func TestTreeReplacesNothing(t *testing.T) {
	t.Parallel()
	tree, _ := openTemp(t)
	for _, name := range []string{"a", "b"} {
		f, err := tree.Create(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	_, createErr := tree.Create("a", 0o600)
	for what, err := range map[string]error{
		"create": createErr, "rename": tree.Rename("a", "b"), "link": tree.Link("a", "b"),
	} {
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s over a file: %v", what, err)
		}
	}
}

func TestOpenFollowsNoLink(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/sub/x", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"last": "sub/x", "middle": "sub", "out": "/etc"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"last", "middle/x", "out/passwd", "../" + filepath.Base(dir) + "/sub/x", "/etc/passwd"} {
		if f, err := tree.Open(name); err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
	// A FIFO does not hold us up.
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := tree.Open("fifo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Info(); err != nil || info.Regular {
		t.Errorf("a FIFO is %+v, %v", info, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	want := []string{"sub"}
	for i := range 500 {
		name := strings.Repeat("n", 1+i%50) + string(rune('a'+i%26)) + filepath.Base(t.Name()) + string(rune('0'+i/50))
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want = want[:0]
	for _, e := range found {
		want = append(want, e.Name())
	}
	d, err := tree.Dir(".")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 2 { // a directory can be read again
		var got []string
		if err := d.Names(func(name string) bool { got = append(got, name); return true }); err != nil {
			t.Fatal(err)
		}
		sort.Strings(got)
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%d names, want %d", len(got), len(want))
		}
	}
	n := 0
	if err := d.Names(func(string) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("stopped after %d, %v", n, err)
	}
}

// ReadFrom appends whatever it is given: sections of files by the kernel, all
// else by reading, and tells the size.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	text := strings.Repeat("0123456789abcde\n", copyPiece/16*2+10)
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		io.WriteString(w, "from a pipe")
		w.Close()
	}()
	for _, c := range []struct {
		name string
		from io.Reader
		want string
	}{
		{"section", io.NewSectionReader(file, 0, int64(len(text))), text},
		{"part", io.NewSectionReader(file, 3, copyPiece), text[3 : 3+copyPiece]},
		{"middle", io.NewSectionReader(file, 3, copyPiece+5), text[3 : 3+copyPiece+5]},
		{"nothing", io.NewSectionReader(file, 0, 0), ""},
		{"memory", io.NewSectionReader(strings.NewReader(text), 1, 5), text[1:6]},
		{"reader", strings.NewReader("text"), "text"},
		{"pipe", r, "from a pipe"},
	} {
		f, err := tree.Create(c.name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("header ")); err != nil {
			t.Fatal(err)
		}
		n, err := f.(io.ReaderFrom).ReadFrom(c.from)
		if err != nil || n != int64(len(c.want)) {
			t.Errorf("%s: %d bytes, %v", c.name, n, err)
		}
		if _, err := f.Write([]byte(" end")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Flush(), f.Close()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, c.name)); err != nil || string(got) != "header "+c.want+" end" {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
	}
}

// A source that ends too soon or cannot be read, and a full disk, are errors.
func TestReadFromFails(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	text := strings.Repeat("x", 100_000)
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	writeOnly, err := os.OpenFile(source, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writeOnly.Close()
	for name, from := range map[string]*io.SectionReader{
		"too short":     io.NewSectionReader(whole, 0, int64(len(text))+1),
		"not for reads": io.NewSectionReader(writeOnly, 0, int64(len(text))),
	} {
		f, err := tree.Create(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.(io.ReaderFrom).ReadFrom(from); err == nil {
			t.Errorf("%s: %d bytes and no error", name, n)
		}
		f.Close()
	}
	fd, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	f := &systemFile{fd: fd, name: "full"}
	defer f.Close()
	if n, err := f.ReadFrom(io.NewSectionReader(whole, 0, int64(len(text)))); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("full: %d bytes, %v", n, err)
	}
}
