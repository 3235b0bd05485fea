package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/fdpass"
	"postrider/internal/priv"
	"postrider/internal/queuedir"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
	qmaillocal "postrider/qmail-local"
	"postrider/qmail-local/lspawn"
)

// The test binary is qmail-lspawn and qmail-local when it is called so, with
// the qmail home directory it lies in.
func TestMain(m *testing.M) {
	w := world.Real()
	if strings.HasPrefix(w.Args[0], "qmail-") {
		likeEnter()
	}
	switch w.Args[0] {
	case "qmail-lspawn":
		w.Home, _ = w.Getenv("TEST_QMAIL_HOME")
		os.Exit(lspawn.Main(w))
	case "qmail-local":
		if self, err := os.Executable(); err == nil {
			w.Home = filepath.Dir(filepath.Dir(self))
		}
		os.Exit(qmaillocal.Main(w))
	}
	os.Exit(m.Run())
}

// likeEnter does what priv.Enter does for the real programs and that shows
// here: the umask, and nothing inherited by accident.
func likeEnter() {
	unix.Umask(0o077)
	if err := unix.CloseRange(4, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		panic(err)
	}
}

const testUID = 54321

// installation is a qmail home directory below a directory all may enter.
type installation struct {
	t    *testing.T
	root string // homes are made here
	home string
	uid  uint32 // its owner
}

func install(t *testing.T, uid uint32) *installation {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, root: root, home: filepath.Join(root, "qmail"), uid: uid}
	for _, dir := range []string{in.home, in.home + "/bin", in.home + "/users", in.home + "/control"} {
		in.mkdir(dir, uid)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(in.home+"/bin/qmail-local", os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in *installation) mkdir(path string, uid uint32) {
	in.t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		in.t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, int(uid), int(uid)); err != nil {
			in.t.Fatal(err)
		}
	}
}

// user makes a home with a Maildir and returns its path.
func (in *installation) user(name string, uid uint32) string {
	home := filepath.Join(in.root, name)
	for _, dir := range []string{home, home + "/Maildir", home + "/Maildir/tmp", home + "/Maildir/new", home + "/Maildir/cur"} {
		in.mkdir(dir, uid)
	}
	return home
}

func (in *installation) users(records ...string) {
	in.t.Helper()
	path := in.home + "/users/cdb"
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for i := 0; i+1 < len(records); i += 2 {
			if err := w.Add([]byte(records[i]), []byte(records[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		in.t.Fatal(err)
	}
}

func record(user string, uid uint32, home, dash, ext string) string {
	return fmt.Sprintf("%s\x00%d\x00%d\x00%s\x00%s\x00%s", user, uid, uid, home, dash, ext)
}

// daemon is a running qmail-lspawn with qmail-send's end of its link.
type daemon struct {
	t     *testing.T
	pid   int
	link  *fdpass.Packets
	next  uint64
	slots int
}

// start runs qmail-lspawn as the owner of the installation, or as root.
func (in *installation) start() *daemon {
	in.t.Helper()
	up, down, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		in.t.Fatal(err)
	}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		in.t.Fatal(err)
	}
	cmd := exec.Command(in.home + "/bin/qmail-local")
	cmd.Args = []string{"qmail-lspawn"}
	cmd.Env = []string{"TEST_QMAIL_HOME=" + in.home}
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{down}
	if in.uid != uint32(os.Getuid()) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: in.uid, Gid: in.uid, Groups: []uint32{in.uid}}}
	}
	if err := cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	down.Close()
	channel, err := parent.NewChannel(up)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() {
		channel.Close()
		if err := cmd.Wait(); err != nil {
			in.t.Errorf("qmail-lspawn: %v", err)
		}
	})
	for _, f := range []parent.Frame{
		{Kind: parent.Link, Name: parent.Spawn, File: theirs},
		{Kind: parent.Environment, Data: parent.EncodeEnvironment([]string{"PATH=/usr/bin:/bin", "CAPTURED=yes"})},
		{Kind: parent.DefaultDelivery, Data: []byte("./Maildir/\n")},
		{Kind: parent.Go},
	} {
		if sent, err := channel.Send(f); !sent || err != nil {
			in.t.Fatal(sent, err)
		}
	}
	theirs.Close()
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { link.Close() })
	return &daemon{t: in.t, pid: cmd.Process.Pid, link: link, slots: 10}
}

// give hands one delivery over and returns its number.
func (d *daemon) give(recipient, body string) uint64 {
	d.t.Helper()
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		d.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "message")
	defer f.Close()
	if _, err := f.WriteString(body); err != nil {
		d.t.Fatal(err)
	}
	d.next++
	job := spawn.Job{
		Message: spawn.Message{ByFile: true},
		ID:      queuedir.NewID(time.Now(), 1, 2), Sender: mustAddress(d.t, "sender@example.org"),
		Recipients: []spawn.Recipient{{Delivery: d.next, Address: mustAddress(d.t, recipient)}},
	}
	if err := d.link.Send(spawn.AppendJobs(nil, d.slots, []spawn.Job{job}), f); err != nil {
		d.t.Fatal(err)
	}
	return d.next
}

// results waits for n results.
func (d *daemon) results(n int) map[uint64]string {
	d.t.Helper()
	got := make(map[uint64]string)
	buf := make([]byte, spawn.MaxPacket)
	if err := d.link.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		d.t.Fatal(err)
	}
	for len(got) < n {
		size, _, err := d.link.Receive(buf, 0)
		if err != nil {
			d.t.Fatalf("after %d of %d results: %v", len(got), n, err)
		}
		results, err := spawn.DecodeResults(buf[:size])
		if err != nil {
			d.t.Fatal(err)
		}
		for _, r := range results {
			got[r.Delivery] = string(r.Class) + r.Text
		}
	}
	return got
}

func (d *daemon) deliver(recipient, body string) string {
	d.t.Helper()
	n := d.give(recipient, body)
	return d.results(1)[n]
}

func mustAddress(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func maildir(t *testing.T, home string) []string {
	t.Helper()
	files, err := filepath.Glob(home + "/Maildir/new/*")
	if err != nil {
		t.Fatal(err)
	}
	var contents []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, string(content))
	}
	return contents
}

const body = "Subject: x\n\nhello\n"

// A job arrives from qmail-send, a worker is started as the user, the message
// is in his Maildir, and the result says so.
func TestDeliveryAsTheUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: delivers as other users")
	}
	in := install(t, 0)
	joe, jim := in.user("joe", testUID), in.user("jim", testUID+1)
	program := "|id -u; id -G; umask; pwd; echo $CAPTURED/$SENDER/$EXT; grep CapPrm /proc/self/status; ls -l /proc/self/fd | wc -l\n"
	if err := os.WriteFile(joe+"/.qmail-run", []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	in.users("!joe\x00", record("joe", testUID, joe, "", ""), "!jim\x00", record("jim", testUID+1, jim, "", ""),
		"!joe-", record("joe", testUID, joe, "-", ""), "!root\x00", record("root", 0, "/root", "", ""),
		"!low\x00", record("low", priv.MinimumUID-1, "/", "", ""), "", "-")
	d := in.start()
	if got := d.deliver("joe@example.com", body); got != "Kdid 1+0+0\n" {
		t.Errorf("joe: %q", got)
	}
	if got := d.deliver("jim@example.com", body); got != "Kdid 1+0+0\n" {
		t.Errorf("jim: %q", got)
	}
	want := "Return-Path: <sender@example.org>\nDelivered-To: joe@example.com\n" + body
	if got := maildir(t, joe); len(got) != 1 || got[0] != want {
		t.Errorf("joe's Maildir: %q", got)
	}
	files, err := filepath.Glob(jim + "/Maildir/new/*")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Sys().(*syscall.Stat_t).Uid != testUID+1 || info.Mode().Perm() != 0o600 {
		t.Errorf("jim's file: %v, %v", info, err)
	}
	// ls sees 0, 1, 2, its own directory, and a line of heading.
	want = fmt.Sprintf("K%d\n%d\n0077\n%s\nyes/sender@example.org/run\nCapPrm:\t0000000000000000\n5\ndid 0+0+1\n", testUID, testUID, joe)
	if got := d.deliver("joe-run@example.com", body); got != want {
		t.Errorf("program: got %q, want %q", got, want)
	}
	for recipient, want := range map[string]string{
		"root@example.com":     "ZNot allowed to perform deliveries as root.\n",
		"low@example.com":      "ZNot allowed to perform deliveries as this user. (#4.3.5)\n",
		"nohost":               "DSorry, address must include host name. (#5.1.3)\n",
		"@x":                   "KThe address has no local part: the message is discarded.\n",
		"joe-none@example.com": "DSorry, no mailbox here by that name. (#5.1.1)\n",
	} {
		if got := d.deliver(recipient, body); got != want {
			t.Errorf("%s: %q", recipient, got)
		}
	}
}

// A user who kills his own worker costs himself a retry and nobody else.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: delivers as other users")
	}
	in := install(t, 0)
	joe, jim := in.user("joe", testUID+2), in.user("jim", testUID+3)
	for name, line := range map[string]string{"kill": "|kill -9 $PPID; sleep 100\n", "wait": "|sleep 100\n"} {
		if err := os.WriteFile(joe+"/.qmail-"+name, []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in.users("!jim\x00", record("jim", testUID+3, jim, "", ""), "!joe\x00", record("joe", testUID+2, joe, "", ""),
		"!joe-", record("joe", testUID+2, joe, "-", ""), "", "-")
	d := in.start()
	wait, kill := d.give("joe-wait@x", body), d.give("joe-kill@x", body)
	got := d.results(2)
	defer noProcessOf(t, testUID+2)
	if got[wait] != "Zqmail-local crashed.\n" || got[kill] != "Zqmail-local crashed.\n" {
		t.Errorf("got %v", got)
	}
	for _, recipient := range []string{"jim@x", "joe@x"} {
		if got := d.deliver(recipient, body); got != "Kdid 1+0+0\n" {
			t.Errorf("%s afterwards: %q", recipient, got)
		}
	}
}

// noProcessOf waits until a user has no program left: those of a dead worker
// are killed.
func noProcessOf(t *testing.T, uid uint32) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); runtime.Gosched() {
		left := false
		stats, err := filepath.Glob("/proc/[0-9]*/comm")
		if err != nil {
			t.Fatal(err)
		}
		for _, stat := range stats {
			info, err := os.Stat(filepath.Dir(stat))
			comm, _ := os.ReadFile(stat)
			left = left || err == nil && info.Sys().(*syscall.Stat_t).Uid == uid && string(comm) == "sleep\n"
		}
		if !left {
			return
		}
	}
	t.Errorf("programs of uid %d are left", uid)
}

// A private installation delivers to its owner, as its owner.
func TestPrivateInstallation(t *testing.T) {
	t.Parallel()
	uid := uint32(os.Getuid())
	if uid == 0 {
		uid = testUID + 4
	}
	in := install(t, uid)
	in.root = in.home // homes below the installation
	alias := in.user("alias", uid)
	if err := os.WriteFile(alias+"/.qmail-default", []byte("./Maildir/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	in.users("!other\x00", record("other", uid+1, alias, "", ""), "", "-")
	d := in.start()
	if got := d.deliver("anybody@example.com", body); got != "Kdid 1+0+0\n" {
		t.Errorf("got %q", got)
	}
	if got := maildir(t, alias); len(got) != 1 || !strings.HasSuffix(got[0], body) {
		t.Errorf("Maildir: %q", got)
	}
	if got := d.deliver("other@example.com", body); got != "ZNot allowed to perform deliveries as this user. (#4.3.5)\n" {
		t.Errorf("other user: %q", got)
	}
}

// R61: without descriptors a delivery is tried again, and service returns by
// itself.
func TestShortageOfDescriptors(t *testing.T) {
	t.Parallel()
	owner, uid := uint32(os.Getuid()), uint32(os.Getuid())
	if owner == 0 {
		uid = testUID + 9
	}
	in := install(t, owner)
	in.users("!joe\x00", record("joe", uid, in.user("joe", uid), "", ""), "", "-")
	d := in.start()
	if got := d.deliver("joe@example.com", body); got != "Kdid 1+0+0\n" {
		t.Fatalf("before: %q", got)
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}, nil); err != nil {
		t.Fatal(err)
	}
	if got := d.deliver("joe@example.com", body); got != "Zqmail-spawn unable to open message. (#4.3.0)\n" {
		t.Errorf("without descriptors: %q", got)
	}
	if err := unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	if got := d.deliver("joe@example.com", body); got != "Kdid 1+0+0\n" {
		t.Errorf("afterwards: %q", got)
	}
}
