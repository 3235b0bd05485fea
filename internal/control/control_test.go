package control

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dir makes a control directory with the given files.
func dir(t testing.TB, files map[string]string) Dir {
	t.Helper()
	d := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Dir(d)
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"one line", "mail.example\n", "mail.example"},
		{"no LF at the end", "mail.example", "mail.example"},
		{"trailing blanks and tabs go", "mail.example \t \n", "mail.example"},
		{"leading blanks stay", "  mail.example\n", "  mail.example"},
		{"CR stays", "mail.example\r\n", "mail.example\r"},
		{"only the first line counts", "one\ntwo\n", "one"},
		{"a first line that is empty", "\ntwo\n", ""},
		{"there are no comments", "# one\n", "# one"},
		{"empty is not missing", "", ""},
		{"a NUL in a later line does not matter", "one\na\x00b\n", "one"},
		{"the longest line", strings.Repeat("x", maxLine), strings.Repeat("x", maxLine)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dir(t, map[string]string{"f": c.text}).Line("f", "default")
			if err != nil || got != c.want {
				t.Errorf("Line = %q, %v; want %q", got, err, c.want)
			}
		})
	}
	if got, err := dir(t, nil).Line("f", "default"); err != nil || got != "default" {
		t.Errorf("missing file: Line = %q, %v", got, err)
	}
}

func TestLineOrMe(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"own file", map[string]string{"bouncehost": "a\n", "me": "b\n"}, "a"},
		{"own file, empty", map[string]string{"bouncehost": "", "me": "b\n"}, ""},
		{"me", map[string]string{"me": "b\n"}, "b"},
		{"neither", nil, "bouncehost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dir(t, c.files).LineOrMe("bouncehost", "bouncehost")
			if err != nil || got != c.want {
				t.Errorf("LineOrMe = %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestInt(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"20\n", 20},
		{"0\n", 0},
		{"20 minutes\n", 20},
		{"20k\n", 20},
		{"0x10\n", 0},
		{"\n20\n", 7},
		{"", 7},
		{"-1\n", 7},
		{"+1\n", 7},
		{" 20\n", 7},
		{"ten\n", 7},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := dir(t, map[string]string{"f": c.text}).Int("f", 7)
			if err != nil || got != c.want {
				t.Errorf("Int of %q = %d, %v; want %d", c.text, got, err, c.want)
			}
		})
	}
	if got, err := dir(t, nil).Int("f", 7); err != nil || got != 7 {
		t.Errorf("missing file: Int = %d, %v", got, err)
	}
	if _, err := dir(t, map[string]string{"f": "99999999999999999999\n"}).Int("f", 7); err == nil {
		t.Error("a number that does not fit was accepted")
	}
}

func TestList(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"comments and empty lines go", "# c\na\n\n \t\nb \t\n", []string{"a", "b"}},
		{"# later in a line is text", "a#b\n #c\n", []string{"a#b", " #c"}},
		{"leading blanks stay", " a\n", []string{" a"}},
		{"last line without LF", "a\nb", []string{"a", "b"}},
		{"CR stays", "a\r\n", []string{"a\r"}},
		{"a NUL in a comment does not matter", "#\x00\na\n", []string{"a"}},
		{"empty file", "", nil},
		{"nothing but comments", "#a\n#b\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, present, err := dir(t, map[string]string{"f": c.text}).List("f")
			if err != nil || !present || !slices.Equal(got, c.want) {
				t.Errorf("List = %q, %v, %v; want %q", got, present, err, c.want)
			}
		})
	}
	if got, present, err := dir(t, nil).List("f"); err != nil || present || got != nil {
		t.Errorf("missing file: List = %q, %v, %v", got, present, err)
	}
}

func TestMap(t *testing.T) {
	text := "Example.ORG:alice\nexample.net: bob:x \n:everything\nno colon\nexample.org:carol\n#example.net:dave\nÄ:1\nAZ@[az`{:2\n"
	want := map[string]string{"example.org": "carol", "example.net": " bob:x", "": "everything", "Ä": "1", "az@[az`{": "2"}
	got, present, err := dir(t, map[string]string{"f": text}).Map("f")
	if err != nil || !present || !maps.Equal(got, want) {
		t.Errorf("Map = %q, %v, %v; want %q", got, present, err, want)
	}
	if got, present, err := dir(t, nil).Map("f"); err != nil || present || got != nil {
		t.Errorf("missing file: Map = %q, %v, %v", got, present, err)
	}
}

// Invariants 1, 2, 5 and 6: what is there and unusable is an error that names the file.
func TestFailsClosed(t *testing.T) {
	d := dir(t, map[string]string{
		"nul":     "a\x00b\n",
		"first":   "\x00\n",
		"long":    strings.Repeat("x", maxLine+1) + "\n",
		"secret":  "x\n",
		"nullist": "a\nb\nc\x00\n",
	})
	for _, err := range []error{
		os.Mkdir(string(d)+"/directory", 0o755),
		os.Symlink("nowhere", string(d)+"/dangling"),
		os.Symlink("loop", string(d)+"/loop"),
		syscall.Mkfifo(string(d)+"/fifo", 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"nul", "first", "long", "directory", "dangling", "loop", "fifo", "me\x00"} {
		kinds := map[string]func() error{
			"Line":     func() error { _, err := d.Line(name, ""); return err },
			"LineOrMe": func() error { _, err := d.LineOrMe(name, ""); return err },
			"Int":      func() error { _, err := d.Int(name, 1); return err },
			"List":     func() error { _, _, err := d.List(name); return err },
			"Map":      func() error { _, _, err := d.Map(name); return err },
		}
		if name != "nul" && name != "first" && name != "long" { // the reader's own format
			kinds["Text"] = func() error { _, _, err := d.Text(name); return err }
		}
		for kind, read := range kinds {
			if err := read(); err == nil {
				t.Errorf("%s(%q): no error", kind, name)
			} else if !strings.Contains(err.Error(), string(d)+"/"+name) {
				t.Errorf("%s(%q): error does not name the file: %v", kind, name, err)
			}
		}
	}
	if _, _, err := d.List("nullist"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("error does not name the line: %v", err)
	}
	if _, present, err := Dir(t.TempDir() + "/missing").List("rcpthosts"); err == nil {
		t.Errorf("a missing control directory reads as a missing file (present = %v)", present)
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error of a missing directory is %v", err)
	}
}

func TestUnreadableIsNotMissing(t *testing.T) {
	d := dir(t, map[string]string{"f": "x\n"})
	if err := os.Chmod(string(d)+"/f", 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// Root reads everything. This thread alone becomes nobody to the file
		// system, for the time of the test.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0) // for the removal of the directory
	}
	if _, _, err := d.List("f"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("List of an unreadable file: %v", err)
	}
}

func TestDevNullIsAnEmptyFile(t *testing.T) {
	d := dir(t, nil)
	if err := os.Symlink("/dev/null", string(d)+"/locals"); err != nil {
		t.Fatal(err)
	}
	if lines, present, err := d.List("locals"); err != nil || !present || lines != nil {
		t.Errorf("List = %q, %v, %v", lines, present, err)
	}
}

func TestTooLongFile(t *testing.T) {
	d := dir(t, map[string]string{"f": "first\n"})
	if err := os.Truncate(string(d)+"/f", maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.List("f"); err == nil {
		t.Error("a file over the limit was accepted")
	}
	fd, err := open(string(dir(t, map[string]string{"f": strings.Repeat("x", 1000)})) + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if text, err := readAll(fd, 1000); err != nil || len(text) != 1000 {
		t.Errorf("a file that ends at the limit: %d bytes, %v", len(text), err)
	}
	if _, err := syscall.Seek(fd, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(fd, 999); err == nil || !strings.Contains(err.Error(), "999") {
		t.Errorf("one byte more: %v", err)
	}
}

func FuzzControl(f *testing.F) {
	for _, seed := range []string{"", "\n", "a:b\nA:c\n", "# x\n a \t\n\n12", "20\r\n", "a\x00b", ":::\n:", "9999999999999999999999"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := dir(t, map[string]string{"f": string(text)})
		lines, present, err := d.List("f")
		if err == nil && !present {
			t.Fatal("a file that is there is not present")
		}
		for _, line := range lines {
			if line == "" || line[0] == '#' || strings.ContainsAny(line, "\n\x00") || line != strings.TrimRight(line, " \t\n") {
				t.Fatalf("List gave %q", line)
			}
		}
		m, _, mapErr := d.Map("f")
		if (mapErr == nil) != (err == nil) {
			t.Fatalf("Map says %v, List says %v", mapErr, err)
		}
		for key := range m {
			if key != lower(key) {
				t.Fatalf("key %q is not in lower case", key)
			}
		}
		if line, err := d.Line("f", "missing"); err == nil && strings.ContainsAny(line, "\n\x00") {
			t.Fatalf("Line gave %q", line)
		}
		if n, err := d.Int("f", 0); err == nil && n < 0 {
			t.Fatalf("Int gave %d", n)
		}
	})
}

// Each tells all lines that are wrong, by number, and reads no further than the
// kinds of errors that List has.
func TestEach(t *testing.T) {
	d := dir(t, map[string]string{"f": "# c\ngood\n\nbad one\ngood\nbad two\n", "one": "bad\n", "nul": "good\na\x00\n"})
	refuse := func(line string) error {
		if strings.HasPrefix(line, "bad") {
			return errors.New(line + " is bad")
		}
		return nil
	}
	_, err := d.Each("f", refuse)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || faults[0].Line != 4 || faults[1].Line != 6 {
		t.Fatalf("Each = %v", err)
	}
	if want := string(d) + "/f, line 4: bad one is bad (and in one more line)"; err.Error() != want {
		t.Errorf("Each = %q, want %q", err, want)
	}
	if _, err := d.Each("one", refuse); err == nil || err.Error() != string(d)+"/one, line 1: bad is bad" {
		t.Errorf("Each = %v", err)
	}
	if _, err := d.Each("nul", refuse); err == nil || !strings.Contains(err.Error(), "line 2: holds a NUL byte") {
		t.Errorf("Each = %v", err)
	}
	if present, err := d.Each("missing", refuse); present || err != nil {
		t.Errorf("Each of no file = %v, %v", present, err)
	}
	if present, err := d.Each("f", func(string) error { return nil }); !present || err != nil {
		t.Errorf("Each = %v, %v", present, err)
	}
}

func TestWhere(t *testing.T) {
	d := dir(t, map[string]string{"f": "# a\na\n\nb \t\na\n#b\nc"})
	for line, want := range map[string][2]int{"a": {2, 5}, "b": {4, 4}, "c": {7, 7}, "": {0, 0}, "# a": {0, 0}, "d": {0, 0}} {
		first, last := d.Where("f", func(l string) bool { return l == line })
		if got := [2]int{first, last}; got != want {
			t.Errorf("%q stands in %v, want %v", line, got, want)
		}
	}
	all := func(string) bool { return true }
	for _, name := range []string{"missing", "f/x"} {
		if first, last := d.Where(name, all); first != 0 || last != 0 {
			t.Errorf("%s: lines %d to %d", name, first, last)
		}
	}
}

func TestFaultTexts(t *testing.T) {
	whole, line := Fault{"/c/f", 0, "is bad"}, Fault{"/c/f", 7, "is bad"}
	for want, f := range map[string]error{
		"/c/f: is bad": whole, "/c/f, line 7: is bad": line, "/c/f, line 7: is bad (and in one more line)": Faults{line, line},
		"/c/f, line 7: is bad (and in 2 more lines)": Faults{line, line, line},
	} {
		if got := f.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEachIsBounded(t *testing.T) {
	d := dir(t, map[string]string{"f": strings.Repeat("bad\n", maxFaults+5)})
	_, err := d.Each("f", func(string) error { return errors.New("bad") })
	if faults, _ := errors.AsType[Faults](err); len(faults) != maxFaults {
		t.Errorf("%d lines are told", len(faults))
	}
}

// A name below a file is trouble, and no missing file.
func TestBelowAFile(t *testing.T) {
	d := dir(t, map[string]string{"f": "x\n"})
	if _, present, err := Dir(string(d) + "/f").List("x"); !errors.Is(err, syscall.ENOTDIR) || present {
		t.Errorf("%v, %v", present, err)
	}
	if missing, err := d.missing("f/x"); missing || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v, %v", missing, err)
	}
	if missing, err := d.missing("f"); missing || err != nil {
		t.Errorf("a file that has come meanwhile: %v, %v", missing, err)
	}
	if _, err := readAll(-1, 1); err != syscall.EBADF {
		t.Errorf("no descriptor: %v", err)
	}
}

// A file is read to its end, also where nobody knows where that is.
func TestFilesWithoutASize(t *testing.T) {
	text, present, err := Dir("/proc/self").Text("maps")
	if err != nil || !present || strings.Count(text, "\n") < 5 || len(text) < 1000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// What is opened is for nobody else, and closed: no program that is started
// inherits it.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	d := dir(t, map[string]string{"f": "x\n", "long": "x\n"})
	if err := errors.Join(syscall.Mkfifo(string(d)+"/fifo", 0o644), os.Truncate(string(d)+"/long", maxFile+1)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f", "long", "fifo"} {
		if _, present, err := d.List(name); present != (err == nil) || present != (name == "f") {
			t.Errorf("%s: %v, %v", name, present, err)
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, string(d)) {
			t.Errorf("%s is still open", target)
		}
	}
	fd, err := open(string(d) + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("children inherit it: %#x, %v", flags, err)
	}
}

// A file that is put there while somebody looks for it is missing, or there.
func TestFileComesMeanwhile(t *testing.T) {
	t.Parallel()
	d := dir(t, map[string]string{"new": "x\n"})
	for i := range 2000 {
		name := strconv.Itoa(i)
		linked := make(chan error)
		go func() { linked <- os.Link(string(d)+"/new", string(d)+"/"+name) }()
		for {
			line, err := d.Line(name, "")
			if err != nil {
				t.Error(err)
			}
			if line == "x" || err != nil {
				break
			}
		}
		if err := <-linked; err != nil {
			t.Fatal(err)
		}
	}
}

// A link that leads nowhere is told as such: what failed, on what.
func TestDanglingLink(t *testing.T) {
	t.Parallel()
	d := dir(t, nil)
	if err := os.Symlink("nowhere", string(d)+"/f"); err != nil {
		t.Fatal(err)
	}
	_, _, err := d.Text("f")
	if told, ok := errors.AsType[*os.PathError](err); !ok || *told != (os.PathError{Op: "open", Path: string(d) + "/f", Err: syscall.ENOENT}) {
		t.Errorf("%v", err)
	}
}
