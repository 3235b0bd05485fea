package hostile

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

// torture calls a program, args[1:], in a way that args[0], a seed, decides. It
// returns only if that fails.
func torture(args []string) int {
	seed, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || len(args) < 2 {
		return 99
	}
	r := rand.New(rand.NewPCG(seed, 0))
	maybe := func() bool { return r.IntN(3) == 0 }
	argv, env := args[1:], os.Environ()
	if maybe() {
		env = append(env, "GODEBUG=gctrace=2,inittrace=1,madvdontneed=1", "GOTRACEBACK=crash", "GOGC=off")
	}
	if maybe() {
		env = append(env, "GOMEMLIMIT=1", "GOMAXPROCS=999", "TZ=/etc/shadow", "LD_PRELOAD=/etc/secret", "LD_LIBRARY_PATH=/home/mallory", "IFS=/", "PATH=.")
	}
	if r.IntN(10) == 0 {
		for n := range 15 {
			env = append(env, fmt.Sprintf("BIG%d=%s", n, strings.Repeat("x", 100_000)))
		}
	}
	if maybe() {
		unix.Umask([]int{0, 0o777}[r.IntN(2)])
	}
	if maybe() {
		signal.Ignore(syscall.SIGCHLD, syscall.SIGXFSZ, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGTERM)
	}
	if maybe() {
		_ = os.Mkdir("/home/mallory/closed", 0o700)
		_ = os.Chdir("/home/mallory/closed")
		_ = os.Chmod("/home/mallory/closed", 0)
	}
	if r.IntN(6) == 0 {
		inheritMany(20_000)
	}
	if r.IntN(4) == 0 {
		_ = unix.Close(2)
	}
	if r.IntN(6) == 0 {
		_ = unix.Close(r.IntN(2))
	}
	if r.IntN(12) == 0 {
		argv = nil
	}
	path := args[1]
	if maybe() { // last: our own runtime needs what it takes away
		limits := []struct {
			which int
			to    []uint64
		}{
			{unix.RLIMIT_FSIZE, []uint64{0, 100}}, {unix.RLIMIT_NOFILE, []uint64{0, 1, 3, 4, 6, 9}}, {unix.RLIMIT_NPROC, []uint64{0, 1}},
			{unix.RLIMIT_AS, []uint64{1 << 20, 64 << 20, 512 << 20}}, {unix.RLIMIT_DATA, []uint64{0, 1 << 20}}, {unix.RLIMIT_STACK, []uint64{0, 64 << 10}},
			{unix.RLIMIT_CORE, []uint64{unix.RLIM_INFINITY}}, {unix.RLIMIT_CPU, []uint64{1}},
		}
		l := limits[r.IntN(len(limits))]
		n := l.to[r.IntN(len(l.to))]
		_ = syscall.Setrlimit(l.which, &syscall.Rlimit{Cur: n, Max: n})
	}
	_ = syscall.Exec(path, argv, env)
	return 98
}

// inheritMany opens descriptors that the program inherits.
func inheritMany(n int) {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		_ = syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: l.Max, Max: l.Max})
	}
	fd, err := unix.Open("/dev/null", unix.O_RDWR, 0)
	for i := 0; i < n && err == nil; i++ {
		_, err = unix.Dup(fd)
	}
}

// TestProgramsUnderTorture: whatever the circumstances, exit code 0 means that
// the message is there, whole and once, and another one that it is not (R70).
func TestProgramsUnderTorture(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	before := g.daemons()
	times := testhost.Times(t, "bad ways to call a program", 60, 3000)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	programs := [][]string{
		{"/var/qmail/bin/qmail-queue"}, {"/usr/sbin/sendmail", "alice@mx1.example"}, {"/var/qmail/bin/qmail-inject", "alice@mx1.example"},
	}
	codes := make(map[string]int)      // how calls ended
	outcome := make(map[string]string) // of each message
	for n := range times {
		id := fmt.Sprintf("torture-%d", n)
		argv := append([]string{attackerPath, strconv.FormatUint(seed+uint64(n), 10)}, programs[n%len(programs)]...)
		r := g.tortured(argv, id)
		end := fmt.Sprint("exit ", r.Code)
		if r.Code < 0 {
			end = r.Signal.String()
		}
		codes[argv[2]+": "+end]++
		outcome[id] = end
	}
	t.Log(codes)
	g.settled()
	g.unharmed(before)
	got := make(map[string]int)
	for _, m := range g.Maildir("alice").Messages() {
		id := m.Header("Subject")
		got[id]++
		if m.Body() != tortureBody(id) {
			t.Errorf("%s is damaged: %q", id, m.Text)
		}
	}
	sound := 0
	for id, end := range outcome {
		switch {
		case end == "exit 0" && got[id] == 1:
			sound++
		case end == "exit 0":
			t.Errorf("%s: exit code 0, and %d are there", id, got[id])
		case strings.HasPrefix(end, "exit ") && got[id] != 0:
			t.Errorf("%s: %s, and %d are there", id, end, got[id])
		}
	}
	if sound < times/4 {
		t.Errorf("only %d of %d calls succeed: this tests nothing", sound, times)
	}
	// Who asks for a core of his own process, by a limit and GOTRACEBACK, gets it.
	left := g.Must("sh", "-c", "ls -A /tmp; find /home /var/qmail -name 'core*' -type f ! -user mallory; ls -A /var/qmail/queue/tmp; find /var/qmail/queue -perm -o+w -type f")
	if left != "" {
		t.Errorf("left behind: %s", left)
	}
	g.StopSuite()
}

func tortureBody(id string) string { return strings.Repeat("body of "+id+"\n", 300) }

// tortured runs one call. qmail-queue has the envelope on descriptor 1.
func (g *ground) tortured(argv []string, id string) testhost.Result {
	g.t.Helper()
	message := "Subject: " + id + "\n\n" + tortureBody(id)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer null.Close()
	files := []*os.File{piped(g.t, message), null, null}
	if argv[2] == "/var/qmail/bin/qmail-queue" {
		files[1] = piped(g.t, "Fmallory@mx1.example\x00Talice@mx1.example\x00\x00")
		defer files[1].Close()
	}
	defer files[0].Close()
	p, err := g.Start(testhost.Command{
		Argv: argv, User: "mallory", Env: []string{attackVariable + "=torture"}, Dir: "/home/mallory", Files: files,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := p.Wait(testhost.Within(g.t, soon))
	if err != nil {
		g.t.Errorf("%v does not end: %v", argv, err)
		_ = p.Signal(syscall.SIGKILL)
	}
	return r
}

// piped returns a pipe that delivers text.
func piped(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		// A program that does not read it all has failed by itself.
		_, _ = io.WriteString(w, text)
		w.Close()
	}()
	return r
}
