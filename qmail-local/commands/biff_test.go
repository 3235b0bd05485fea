package commands

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/world"
)

// session is a record of utmp(5).
func session(kind uint16, line, user string) []byte {
	r := make([]byte, utmpRecord)
	binary.NativeEndian.PutUint16(r, kind)
	copy(r[8:40], line)
	copy(r[44:76], user)
	return r
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "utmp")
	all := slices.Concat(session(userProcess, "pts/1", "joe"), session(8, "pts/2", "joe"), session(userProcess, "pts/3", "jim"),
		session(userProcess, "../etc/passwd", "joe"), session(userProcess, "/etc/passwd", "joe"), session(userProcess, "tty1", "joe"),
		session(userProcess, strings.Repeat("x", 32), "joe"), []byte("cut"))
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := terminals(path, "joe"); !slices.Equal(got, []string{"pts/1", "tty1", strings.Repeat("x", 32)}) {
		t.Errorf("got %q", got)
	}
	if got := append(terminals(path, ""), terminals(path+"x", "joe")...); got != nil {
		t.Errorf("nobody is at %q", got)
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ message, want string }{
		{"From: a\nSubject: hello\n you\n\nthe text\nand more\n", "hello/ you/the text/and more/"},
		{"Subject:\x1b[2J\xff\n\n", "_[2J_/"},
		{"From: a\n\n" + strings.Repeat("x", 100), strings.Repeat("x", maxNotice)},
		{"", ""},
	} {
		path := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(path, []byte(c.message), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := notice(world.World{Stdin: f, Environ: []string{"LOCAL=joe-list", "SENDER=a\x1bb@x"}})
		f.Close()
		if want := "\a\r\n*** TO <joe-list> FROM <a_b@x>\r\n  " + c.want + "\r\n"; !ok || got != want {
			t.Errorf("%q: %q, want %q", c.message, got, want)
		}
	}
}

// TestTell: a terminal is written to only with its owner's leave, a file never.
func TestTell(t *testing.T) {
	t.Parallel()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := os.OpenFile(terminal, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	tell(terminal, "not wanted")
	if err := slave.Chmod(0o720); err != nil {
		t.Fatal(err)
	}
	tell(terminal, "wanted")
	buf := make([]byte, 100)
	size, err := master.Read(buf)
	if err != nil || string(buf[:size]) != "wanted" {
		t.Errorf("the terminal got %q, %v", buf[:size], err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	tell(file, "x")
	if read(t, file) != "" {
		t.Error("a file is written to")
	}
}
