package scenario

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

// TestSplogger: qmail-start runs splogger as its logger, as the user qmaill, and
// the lines of the suite come to the syslog of the machine.
func TestSplogger(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	// A /dev of the host's own, for its socket.
	h.Must("sh", "-ec", `mkdir /tmp/dev; mount -t tmpfs -o mode=755 tmpfs /tmp/dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /tmp/dev/; mount --move /tmp/dev /dev`)
	path := h.Path("/dev/log")
	syslog, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syslog.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := syslog.SetReadDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	await := func(text string) string {
		t.Helper()
		for {
			n, err := syslog.Read(buf)
			if err != nil {
				t.Fatalf("no line %q: %v", text, err)
			}
			if line := string(buf[:n]); strings.Contains(line, text) {
				return line
			}
		}
	}
	suite, err := h.Start(testhost.Command{Argv: []string{"env", "-i", "PATH=/var/qmail/bin:/usr/bin:/bin", "qmail-start", "./Maildir/", "splogger", "mx1", "3"}})
	if err != nil {
		t.Fatal(err)
	}
	if line := await("status: local 0/"); !strings.HasPrefix(line, "<30>") || !strings.Contains(line, " mx1: ") {
		t.Errorf("%q: not of the facility 3, or not with the tag", line)
	}
	user := strings.TrimSpace(h.Must("sh", "-c", "ps -eo user:20,comm | awk '$2 == \"splogger\" {print $1}'"))
	if user != "qmaill" {
		t.Errorf("splogger runs as %q", user)
	}
	sendmail(h, "alice", []string{"alice"}, letter("alice", "logged"))
	await("info msg ")
	await(": success: did_1+0+0/")
	if err := suite.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("status: exiting")
	if r, err := suite.Wait(testhost.Within(t, soon)); err != nil || r.Code != 0 {
		t.Errorf("qmail-start: %v, %v", r, err)
	}
}

// TestQbiff: mail for a user who is logged in, and wants that, is shown on his
// terminal.
func TestQbiff(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	master, name := terminal(t)
	uid := h.UserID("alice")
	if err := os.Chown("/dev/"+name, uid, -1); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("/dev/"+name, 0o700); err != nil {
		t.Fatal(err)
	}
	var login [384]byte // struct utmp of utmp(5)
	binary.NativeEndian.PutUint16(login[0:], 7)
	copy(login[8:40], name)
	copy(login[44:76], "alice")
	h.WriteFile("/run/utmp", string(login[:]), 0o644)
	for _, user := range []string{"alice", "bob"} {
		h.WriteFile("/home/"+user+"/.qmail", "|/var/qmail/bin/qbiff\n./Maildir/\n", 0o644)
	}
	h.StartSuite()
	sendmail(h, "root", []string{"-f", "s@else.example", "bob"}, letter("bob", "not for her"))
	sendmail(h, "root", []string{"-f", "s@else.example", "alice"}, letter("alice", "new"))
	waitEmpty(t, h)
	if err := master.SetReadDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := master.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); !strings.Contains(got, "alice") || !strings.Contains(got, "s@else.example") || !strings.Contains(got, "new") || strings.Contains(got, "bob") {
		t.Errorf("the terminal shows %q", got)
	}
	if h.Maildir("alice").Count() != 1 || h.Maildir("bob").Count() != 1 {
		t.Error("the mail itself is missing")
	}
	h.StopSuite()
}

// terminal makes one and returns its other side and its name below /dev.
func terminal(t *testing.T) (master *os.File, name string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("pts/%d", number)
	// While nobody has it open, a read from the other side fails.
	slave, err := os.OpenFile("/dev/"+name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, name
}

// TestNewMRH: domains that qmail-newmrh puts into its database are taken from the
// next recipient on.
func TestNewMRH(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("rcpthosts", "mx1.example")
	h.Control("locals", "mx1.example", "more.example")
	h.StartSuite()
	c := session(t, h)
	expect := func(address string, code int) {
		t.Helper()
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("%s: %d, want %d", address, got, code)
		}
	}
	expect("alice@more.example", 553)
	h.Control("morercpthosts", "# more", "More.Example", ".sub.example", "")
	expect("alice@more.example", 553) // nobody has made the database yet
	h.Must("/var/qmail/bin/qmail-newmrh")
	expect("alice@MORE.example", 250)
	expect("nobody@more.example", 550)
	expect("x@a.sub.example", 250)
	expect("x@sub.example", 553)
	expect("x@more", 553)
	h.Control("morercpthosts", "other.example")
	h.Must("/var/qmail/bin/qmail-newmrh")
	expect("alice@more.example", 553)
	h.Must("rm", "/var/qmail/control/morercpthosts")
	if r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/qmail-newmrh"}}); err != nil || r.Code != 111 {
		t.Errorf("without the file: %v, %v", r, err)
	}
	expect("x@other.example", 250) // the old one stays
	h.StopSuite()
}
