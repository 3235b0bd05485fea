package scenario

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/testhost"
)

// TestEveryProcessIsWhatTheTableSays looks at all threads of all processes
// while mail flows, and compares them with the table of internal/priv.
func TestEveryProcessIsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.GiveKey()
	h.GivePassword("scram", "joe", "secret")
	h.Control("spfbehavior", "1")
	h.Control("mtasts", "1")
	h.Control("tlsremember", "1")
	h.Control("tlsrpt", "postmaster@mx1.example")
	serveQMTP(h)
	h.Control("concurrencyfilter", "20") // so that qmail-filter runs
	h.Control("nssprobe", "root")        // and qmail-nss
	h.Control("vpopmailuser", "qmailp")  // and qmail-vlookup
	h.Control("metricslisten", ":9925")  // and qmail-metrics
	h.StartSuite()
	own(h, "alice", ".qmail", "|cat; echo $$ > $HOME/running; read forever < $HOME/pipe\n")
	h.Must("mkfifo", "-m", "666", "/home/alice/pipe")
	if err := smtp(testhost.Within(t, soon), h, h, "x@else.example", []string{"alice@mx1.example"}, letter("alice", "m")); err != nil {
		t.Fatalf("%v\n%s", err, h.Log().Timed(0))
	}
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/home/alice", func(names []string) bool { return slices.Contains(names, "running") }); err != nil {
		t.Fatalf("no delivery runs: %v\n%s", err, h.Log().Timed(0))
	}
	seen := make(map[string]int)
	for _, p := range h.Daemons() {
		role, found := priv.RoleOf(p.Name)
		if !found {
			if p.UID[0] != h.UserID("alice") {
				t.Errorf("%s (pid %d) is not in the table and runs as uid %d", p.Name, p.PID, p.UID[0])
			}
			continue
		}
		seen[p.Name]++
		checkIdentity(t, h, role, p)
		checkDescriptors(t, p)
	}
	other := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	checkPassword(other)
	other.Control("checkpassword", "/bin/true")
	other.Control("authinsecure", "1")
	other.StartSuite()
	awaitLogin(t, other) // it has confined itself before it answers
	for _, p := range other.Find("qmail-checkpass") {
		role, _ := priv.RoleOf(p.Name)
		seen[p.Name]++
		checkIdentity(t, other, role, p)
		checkDescriptors(t, p)
	}
	other.StopSuite()
	other.StartSuiteUnder([]string{"env", "QMAILREMOTE=qmail-remote"})
	other.WaitForLog(0, `^qmail-rspawn: mail to other hosts is given to /var/qmail/bin/qmail-remote, as QMAILREMOTE says$`)
	for _, p := range other.Find("qmail-rspawn") {
		role, _ := priv.RoleOf(p.Name)
		seen[p.Name]++
		checkIdentity(t, other, role, p)
		checkDescriptors(t, p)
	}
	other.StopSuite()
	for _, role := range priv.Roles() {
		if seen[role.Program] == 0 {
			t.Errorf("%s does not run", role.Program)
		}
	}
	h.Must("sh", "-c", "echo > /home/alice/pipe")
	waitEmpty(t, h)
	h.StopSuite()
}

// awaitLogin logs in to the SMTP server.
func awaitLogin(t *testing.T, h *testhost.Host) {
	t.Helper()
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	login := base64.StdEncoding.EncodeToString([]byte("\x00joe\x00secret"))
	if err := c.Command("AUTH PLAIN "+login, 2); err != nil {
		t.Fatalf("%v\n%s", err, h.Log().Timed(0))
	}
}

func checkIdentity(t *testing.T, h *testhost.Host, role priv.Role, p testhost.ProcessInfo) {
	t.Helper()
	user, group := role.User, role.Group
	if user == "" {
		user, group = "alice", "alice"
	}
	uid, gid := h.UserID(user), h.GroupID(group)
	var groups []int
	for _, g := range role.Groups {
		groups = append(groups, h.GroupID(g))
	}
	caps := capsOf(role.Program)
	bound := caps
	seccomp := 0
	if role.Program != "qmail-start" {
		seccomp = 2
	}
	if role.Program == "qmail-local" {
		bound = capsOf("qmail-lspawn")
	}
	for _, thread := range p.Threads {
		got := fmt.Sprint(thread.UID, thread.GID, thread.Groups, thread.NoNewPrivs, thread.Seccomp)
		want := fmt.Sprint([4]int{uid, uid, uid, uid}, [4]int{gid, gid, gid, gid}, groups, 1, seccomp)
		if got != want {
			t.Errorf("%s thread %d: got %s, want %s", p.Name, thread.TID, got, want)
		}
		gotCaps := [5]uint64{thread.CapInh, thread.CapPrm, thread.CapEff, thread.CapBnd, thread.CapAmb}
		if want := [5]uint64{0, caps, caps, bound, 0}; gotCaps != want {
			t.Errorf("%s thread %d: capabilities %x, want %x", p.Name, thread.TID, gotCaps, want)
		}
	}
}

func capsOf(program string) (bits uint64) {
	role, _ := priv.RoleOf(program)
	for _, c := range role.Caps {
		bits |= 1 << c
	}
	return bits
}

// checkDescriptors compares the open files with what the program's work
// needs: 0 and 1 are /dev/null, 2 the log, 3 the channel; then sockets and
// what the Go runtime has.
func checkDescriptors(t *testing.T, p testhost.ProcessInfo) {
	t.Helper()
	if p.Name == "qmail-start" {
		return // opens everything for the others
	}
	files := map[string][]string{
		"qmail-spool":  {"/var/qmail/queue", "anon_inode:inotify"},
		"qmail-send":   {"/var/qmail/queue", "/memfd:"},
		"qmail-remote": {"/var/qmail/queue/lock/tcpto"},
		"qmail-local":  {"/memfd:", "/home/alice", "pipe:"},
		// What workers are started with: /dev/null and the log.
		"qmail-lspawn": {"/dev/null", "pipe:"},
	}
	for i, want := range []string{"/dev/null", "/dev/null", "pipe:", "socket:"} {
		if len(p.Files) <= i || p.Files[i].FD != i || !strings.HasPrefix(p.Files[i].Target, want) {
			t.Errorf("%s: descriptors %v", p.Name, p.Files)
			return
		}
	}
	for _, f := range p.Files[4:] {
		allowed := append(runtimeFiles(), files[p.Name]...)
		if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(f.Target, prefix) }) {
			t.Errorf("%s holds descriptor %d: %s", p.Name, f.FD, f.Target)
		}
	}
}

// runtimeFiles are what the Go runtime opens for itself (the cgroup's limits
// are where it takes the number of processors from), the eventfd of those who
// have the kernel sync files, and sockets.
func runtimeFiles() []string {
	return []string{"socket:", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[pidfd]", "/sys/fs/cgroup/"}
}

// TestNoFileGivesRights looks at every installed file: no setuid, no setgid
// program, nothing the world may write but the drop directory and the socket,
// and the modes of the table.
func TestNoFileGivesRights(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	sendmail(h, "alice", []string{"alice"}, letter("alice", "m"))
	waitEmpty(t, h)
	root := h.Path("/var/qmail")
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		kind := st.Mode & unix.S_IFMT
		if kind != unix.S_IFDIR && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			t.Errorf("%s has mode %o", name, st.Mode)
		}
		if kind != unix.S_IFLNK && st.Mode&0o002 != 0 && name != "/queue/drop" && name != "/queue/submit.sock" && name != "/queue/manage.sock" {
			t.Errorf("the world may write %s (mode %o)", name, st.Mode)
		}
		if strings.HasPrefix(name, "/bin/") && kind == unix.S_IFREG {
			if got, want := os.FileMode(st.Mode&0o7777), priv.Mode(filepath.Base(name)); got != want || st.Uid != 0 {
				t.Errorf("%s: mode %o uid %d, want %o and root", name, got, st.Uid, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range priv.Tree() {
		checkEntry(t, h, entry)
	}
	h.StopSuite()
}

func checkEntry(t *testing.T, h *testhost.Host, entry priv.Entry) {
	t.Helper()
	info, err := os.Lstat(h.Path(filepath.Join("/var/qmail", entry.Path)))
	if err != nil {
		t.Error(err)
		return
	}
	var st unix.Stat_t
	if err := unix.Lstat(h.Path(filepath.Join("/var/qmail", entry.Path)), &st); err != nil {
		t.Error(err)
		return
	}
	if entry.Keep {
		return // stays as the administrator made it
	}
	mode := info.Mode() & (os.ModePerm | os.ModeSetgid | os.ModeSticky)
	if mode != entry.Mode || int(st.Uid) != h.UserID(entry.User) || int(st.Gid) != h.GroupID(entry.Group) {
		t.Errorf("%s: mode %v uid %d gid %d, want %v %s:%s", entry.Path, mode, st.Uid, st.Gid, entry.Mode, entry.User, entry.Group)
	}
}
