package testhost

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestHostIsAMachineOfItsOwn(t *testing.T) {
	t.Parallel()
	net := NewNetwork(t)
	h := net.Host("mx1.example")
	if got := strings.TrimSpace(h.Must("hostname")); got != "mx1.example" {
		t.Errorf("host name %q", got)
	}
	if got := strings.TrimSpace(h.Must("sh", "-c", "ls /tmp | wc -l")); got != "0" {
		t.Errorf("%s files in /tmp", got)
	}
	if _, err := os.Stat(h.Path("/etc/passwd")); err != nil {
		t.Error(err)
	}
	h.WriteFile("/etc/only-here", "x\n", 0o644)
	if _, err := os.Stat("/etc/only-here"); !os.IsNotExist(err) {
		t.Errorf("a file of the host is seen outside: %v", err)
	}
	if got := h.Must("cat", "/etc/only-here"); got != "x\n" {
		t.Errorf("got %q", got)
	}
	for _, p := range h.Processes() {
		t.Errorf("a process nobody started: %+v", p)
	}
	if !inUserNamespace() {
		if got := h.Must("stat", "-f", "-c", "%T", "/var/qmail", "/home"); got != "ext2/ext3\next2/ext3\n" {
			t.Errorf("file systems: %q", got)
		}
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	NeedUsers(t)
	h := NewNetwork(t).Host("h.example")
	h.AddUsers("alice", "bob")
	h.Must("groupadd", "crew")
	h.Must("useradd", "-m", "-G", "crew", "carol")
	for _, user := range []string{"alice", "bob", "carol"} {
		got := h.MustRun(Command{Argv: []string{"sh", "-c", "id -un; echo $HOME; touch $HOME/mine && stat -c %U $HOME/mine"}, User: user})
		if want := user + "\n/home/" + user + "\n" + user + "\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := h.MustRun(Command{Argv: []string{"id", "-Gn"}, User: "carol"}); got != "carol crew\n" {
		t.Errorf("groups of carol: %q", got)
	}
	r, err := h.Run(t.Context(), Command{Argv: []string{"touch", "/home/bob/x"}, User: "alice"})
	if err != nil || r.Code == 0 {
		t.Errorf("alice writes to bob: %v, %v", r, err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	h := NewNetwork(t).Host("h.example")
	r, err := h.Run(t.Context(), Command{Argv: []string{"sh", "-c", "cat; echo err >&2; exit 7"}, Stdin: "in"})
	if err != nil || r.Code != 7 || r.Stdout != "in" || r.Stderr != "err\n" {
		t.Errorf("got %v, %v", r, err)
	}
	if r, err = h.Run(t.Context(), Command{Argv: []string{"sh", "-c", "kill -9 $$"}}); err != nil || r.Signal != syscall.SIGKILL {
		t.Errorf("got %v, %v", r, err)
	}
	if _, err = h.Run(t.Context(), Command{Argv: []string{"no-such-program"}}); err == nil {
		t.Error("a missing program runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = h.Run(ctx, Command{Argv: []string{"sleep", "1000"}}); err == nil {
		t.Error("no error at the end of the context")
	}
	for _, p := range h.Find("sleep") {
		t.Errorf("still runs: %+v", p)
	}
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	h := NewNetwork(t).Host("h.example")
	in, _ := pipe(t)
	said, out := pipe(t)
	p, err := h.Start(Command{Argv: []string{"sh", "-c", "echo; read forever"}, Files: []*os.File{in, out, out}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	found := h.Find("dash")
	if len(found) != 1 || found[0].PID != p.PID || len(found[0].Threads) != 1 || found[0].Argv[0] != "sh" || len(found[0].Files) != 3 {
		t.Fatalf("got %+v", found)
	}
	if n := h.Kill("dash", syscall.SIGKILL); n != 1 {
		t.Errorf("killed %d", n)
	}
	if r, err := p.Wait(t.Context()); err != nil || r.Signal != syscall.SIGKILL {
		t.Errorf("got %v, %v", r, err)
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// ping sends a line through a TCP connection between two hosts.
func ping(ctx context.Context, from, to *Host) error {
	l, err := listenIn(to.ns, "tcp4", to.IP.String()+":25")
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, "220\r\n")
			c.Close()
		}
	}()
	c, err := from.Dial(ctx, "tcp", to.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != "220\r\n" {
		return fmt.Errorf("got %q", got)
	}
	return err
}

func TestLinkIsCutAndRestored(t *testing.T) {
	t.Parallel()
	net := NewNetwork(t)
	a, b := net.Host("a.example"), net.Host("b.example")
	if err := ping(Within(t, patience), a, b); err != nil {
		t.Fatal(err)
	}
	b.Cut()
	if err := ping(Within(t, 300*time.Millisecond), a, b); err == nil {
		t.Error("a cut link still carries")
	}
	b.Restore()
	if err := ping(Within(t, patience), a, b); err != nil {
		t.Error(err)
	}
}

func TestZoneAnswersPrograms(t *testing.T) {
	t.Parallel()
	net := NewNetwork(t)
	a, b := net.Host("a.example"), net.Host("b.example")
	z := net.Zone()
	z.MX("dest.example", 10, "b.example")
	z.Add("alias.example. CNAME dest.example.", `text.example. TXT "hello"`)
	z.Truncate("text.example")
	z.Fail("broken.example")
	dig := func(args ...string) string {
		return a.Must(append([]string{"dig", "+time=1", "+tries=1", "+noall", "+answer", "+comments"}, args...)...)
	}
	for _, c := range []struct{ question, want string }{
		{"dest.example MX", `MX\s+10 b\.example\.`},
		{"alias.example MX", `(?s)CNAME\s+dest\.example\..*MX\s+10 b\.example\.`},
		{"b.example A", `A\s+` + regexp.QuoteMeta(b.IP.String())},
		{"none.example A", `NXDOMAIN`},
		{"example A", `NOERROR`},
		{"broken.example A", `SERVFAIL`},
		{"text.example TXT", `TXT\s+"hello"`},
	} {
		if got := dig(strings.Fields(c.question)...); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s: got %s, want %s", c.question, got, c.want)
		}
	}
	if got := a.Must("getent", "hosts", "b.example"); !strings.Contains(got, "b.example") {
		t.Errorf("resolver of the C library: %q", got)
	}
	z.Heal("broken.example")
	if got := dig("broken.example"); !strings.Contains(got, "NXDOMAIN") {
		t.Errorf("after healing: %s", got)
	}
	if q := z.Queries(); len(q) == 0 || q[0] != (Query{"dest.example.", "MX", "udp"}) {
		t.Errorf("queries: %v", q)
	}
}

// TestNothingIsLeftAfterAKill kills a test process in the middle and looks
// for what its host was made of.
func TestNothingIsLeftAfterAKill(t *testing.T) {
	if os.Getenv("TESTHOST_VICTIM") != "" {
		h := NewNetwork(t).Host("victim.example")
		fmt.Printf("victim: init %d disk %s\n", h.init.Process.Pid, h.diskImage())
		select {}
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if ns, err := newNamespace(); err != nil {
		skip(t, "network namespaces", err)
	} else {
		ns.close()
	}
	victim := exec.Command(self, "-test.run=^TestNothingIsLeftAfterAKill$", "-test.v")
	victim.Env = append(os.Environ(), "TESTHOST_VICTIM=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var init int
	var disk string
	for lines := bufio.NewScanner(out); init == 0 && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "victim: init %d disk %s", &init, &disk)
	}
	process, err := os.FindProcess(init)
	if err != nil || init == 0 {
		t.Fatalf("the victim made no host: %v", err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	waitUntil(t, "the init of a killed test ends", func() bool { return process.Signal(syscall.Signal(0)) != nil })
	if disk != "memory" {
		waitUntil(t, "its disk is freed", func() bool { return !isAttached(disk) })
	}
}

// diskImage returns what the kernel calls the image that /home is on.
func (h *Host) diskImage() string {
	var st syscall.Stat_t
	if err := syscall.Stat(h.Path("/home"), &st); err != nil {
		return err.Error()
	}
	name, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/loop/backing_file", st.Dev>>8&0xfff, st.Dev&0xff))
	if err != nil {
		return "memory"
	}
	return strings.Fields(string(name))[0]
}

func isAttached(image string) bool {
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return true
	}
	for _, device := range devices {
		if name, err := os.ReadFile(device); err == nil && strings.Fields(string(name))[0] == image {
			return true
		}
	}
	return false
}

// waitUntil asks again and again, since nobody tells a stranger about the end
// of a process.
func waitUntil(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for ctx := Within(t, patience); !reached(); {
		select {
		case <-ctx.Done():
			t.Fatalf("does not happen: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
