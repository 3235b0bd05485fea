package spool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/testhost/raced"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
	"postrider/internal/world"
)

// asSpool makes the test binary be qmail-spool, for this home directory.
const asSpool = "POSTRIDER_TEST_SPOOL_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(asSpool); home != "" {
		os.Exit(Main(world.World{Args: []string{"qmail-spool"}, Stderr: os.Stderr, Home: home, Clock: clock.Real()}))
	}
	os.Exit(m.Run())
}

// process is a running qmail-spool, with the ends that others hold.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	log     *strings.Builder
	control *parent.Channel
	entries *fdpass.Packets
	submit  *fdpass.Packets
	socket  string
	exited  chan error
}

// startProcess starts qmail-spool as qmail-start does. The listening socket
// outlives it.
func startProcess(t *testing.T, l queuedir.Layout, public *os.File) *process {
	t.Helper()
	p := &process{t: t, log: &strings.Builder{}, socket: l.Socket(), exited: make(chan error, 1)}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = []string{asSpool + "=" + filepath.Dir(l.Root)}
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	if p.control, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.control.Close() })
	p.entries = p.link(parent.Entries)
	p.submit = p.link(parent.SubmitSMTPD)
	p.send(parent.Frame{Kind: parent.Listener, Name: parent.Public, File: public})
	p.send(parent.Frame{Kind: parent.Go})
	return p
}

func (p *process) send(f parent.Frame) {
	p.t.Helper()
	if sent, err := p.control.Send(f); err != nil || !sent {
		p.t.Fatalf("control channel: sent %v, %v", sent, err)
	}
}

func (p *process) link(name string) *fdpass.Packets {
	p.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		p.t.Fatal(err)
	}
	defer theirs.Close()
	p.send(parent.Frame{Kind: parent.Link, Name: name, File: theirs})
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { packets.Close() })
	return packets
}

// stop ends it as qmail-start does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.control.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.exited; err != nil {
		p.t.Errorf("qmail-spool: %v\n%s", err, p.log)
	}
}

func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	<-p.exited
}

func (p *process) connect() *os.File {
	p.t.Helper()
	c, err := fdpass.Dial(p.socket)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	if err == nil {
		err = submit.ReadGreeting(c)
	}
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.log)
	}
	return c
}

func listen(t *testing.T, l queuedir.Layout) *os.File {
	t.Helper()
	if os.Getuid() == 0 { // a private installation has no need of qmail's users
		if err := os.Chown(filepath.Dir(l.Root), 65534, -1); err != nil {
			t.Fatal(err)
		}
	}
	public, err := fdpass.Listen(l.Socket(), 0o666, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { public.Close() })
	if err := os.Mkdir(l.Root+"/lock", 0o700); err != nil {
		t.Fatal(err)
	}
	return public
}

// Killed at any moment under load, it loses nothing that it acknowledged, and
// its successor takes over the socket with those who wait there (P1, R11).
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	public := listen(t, l)
	var mu sync.Mutex
	acked := make(map[queuedir.ID]string)
	for round := range 5 {
		p := startProcess(t, l, public)
		var wg sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for w := range 8 {
			c := p.connect()
			wg.Go(func() {
				defer c.Close()
				for i := 0; ; i++ {
					body := strings.Repeat(fmt.Sprintf("round %d writer %d message %d\n", round, w, i), 1+i%5*1000)
					c.Write(frames(body, goodEnvelope, newNonce()))
					a, err := submit.ReadAnswer(c)
					if err != nil {
						return // killed
					}
					id, err := queuedir.ParseID(a.ID)
					if err != nil {
						t.Errorf("answer %+v", a)
						return
					}
					mu.Lock()
					acked[id] = body
					n := len(acked)
					mu.Unlock()
					if n >= (round+1)*40 {
						once.Do(func() { close(enough) })
					}
				}
			})
		}
		<-enough
		p.kill()
		wg.Wait()
	}
	p := startProcess(t, l, public)
	p.connect().Close()
	p.stop()
	for id, want := range acked {
		m, err := readEntry(l, id)
		if err != nil {
			t.Errorf("acknowledged: %v", err)
			continue
		}
		if _, body, _ := strings.Cut(m.body, "\n"); body != want {
			t.Errorf("%s differs", id)
		}
	}
	left, err := filepath.Glob(l.Tmp() + "/*")
	if err != nil || len(left) != 0 {
		t.Errorf("left in tmp: %q, %v", left, err)
	}
}

// A hundred thousand recipients, a large body, and many submitters at once fit
// into the memory that it may use (R66, T9).
func TestMemoryOfTheProcess(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	p := startProcess(t, l, listen(t, l))
	var env strings.Builder
	env.WriteString("Fa@example.org\x00")
	const recipients = 100000
	for i := range recipients {
		fmt.Fprintf(&env, "Trecipient%d@example.net\x00", i)
	}
	env.WriteByte(0)
	large := frames(strings.Repeat("0123456789abcde\n", 1<<20), env.String(), newNonce())

	var wg sync.WaitGroup
	for range connectionsPerUID - 1 {
		c := p.connect()
		wg.Go(func() {
			defer c.Close()
			for i := range 30 {
				if _, err := c.Write(frames(strings.Repeat("x", 1000+2000*i), goodEnvelope, newNonce())); err != nil {
					t.Error(err)
					return
				}
				if a, err := submit.ReadAnswer(c); err != nil || a.Kind != submit.Accepted {
					t.Errorf("answer %+v, %v", a, err)
				}
			}
		})
	}
	var idle []*os.File
	for range 100 { // of a daemon
		c, err := submit.Connect(p.submit)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	c := p.connect()
	defer c.Close()
	if _, err := c.Write(large); err != nil {
		t.Fatal(err)
	}
	a, err := submit.ReadAnswer(c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := readEntry(l, accepted(t, a))
	if err != nil || len(m.recipients) != recipients {
		t.Errorf("%d recipients, %v", len(m.recipients), err)
	}
	wg.Wait()
	peak := highWater(t, p.cmd.Process.Pid)
	t.Logf("peak of resident memory: %d KiB with %d idle connections", peak, len(idle))
	if peak > 20<<10 && !raced.On {
		t.Errorf("peak of resident memory is %d KiB", peak)
	}
	p.stop()
}

// highWater returns VmHWM in KiB.
func highWater(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTwoNeverRun(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	public := listen(t, l)
	first := startProcess(t, l, public)
	first.connect().Close()
	if err := unix.Flock(openFD(t, l.SpoolLock()), unix.LOCK_EX|unix.LOCK_NB); err != unix.EWOULDBLOCK {
		t.Errorf("lock while it runs: %v", err)
	}
	first.kill()
	if err := unix.Flock(openFD(t, l.SpoolLock()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("lock after it was killed: %v", err)
	}
}

// A message that arrives slowly holds up the next one for a moment, and not for
// as long as it may take if nobody waits (T13).
func TestSuccessorIsNotHeldUp(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	public := listen(t, l)
	first := startProcess(t, l, public)
	c := first.connect()
	defer c.Close()
	whole := frames(strings.Repeat("slowly\n", 100_000), goodEnvelope, newNonce())
	if _, err := c.Write(whole[:len(whole)/2]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if begun, err := os.ReadDir(l.Tmp()); err != nil || len(begun) > 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the message does not begin\n%s", first.log)
		}
	}
	if err := first.control.Close(); err != nil { // qmail-start was killed
		t.Fatal(err)
	}
	ended := time.Now()
	second := startProcess(t, l, public)
	if err := <-first.exited; err != nil {
		t.Errorf("%v\n%s", err, first.log)
	}
	if took := time.Since(ended); took > drainPatience-time.Second {
		t.Errorf("the queue was free after %v", took)
	}
	second.connect().Close()
	second.stop()
	if held, err := os.ReadFile(l.SpoolLock()); err != nil || len(held) > 0 {
		t.Errorf("the lock says still that somebody waits: %q, %v", held, err)
	}
}

func openFD(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// When it ends, no message is in the queue that is still in drop/: once it was
// delivered, the next one would take it again.
func TestEndsBetweenDrops(t *testing.T) {
	t.Parallel()
	const files = 60
	for round := range 5 {
		l := makeQueue(t)
		for i := range files {
			if err := os.WriteFile(filepath.Join(l.Drop(), dropName(i)), dropped("x\n", goodEnvelope, newNonce()), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		p := startProcess(t, l, listen(t, l))
		entriesOf := func() []string {
			names, err := filepath.Glob(filepath.Join(l.Root, "new", "*", "*"))
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
		for deadline := time.Now().Add(time.Minute); len(entriesOf()) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing is taken in\n%s", p.log)
			}
		}
		p.stop()
		left, err := os.ReadDir(l.Drop())
		if err != nil {
			t.Fatal(err)
		}
		if taken := len(entriesOf()); taken+len(left) != files {
			t.Errorf("round %d: %d are in the queue and %d in drop/, of %d", round, taken, len(left), files)
		}
	}
}

// A message left in drop/ while it was away is taken in at the start, and one
// left later at once.
func TestProcessTakesDrops(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	public := listen(t, l)
	leave := func(i int) {
		hidden := filepath.Join(l.Drop(), "."+dropName(i))
		if err := os.WriteFile(hidden, dropped("x\n", goodEnvelope, newNonce()), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(hidden, filepath.Join(l.Drop(), dropName(i))); err != nil {
			t.Fatal(err)
		}
	}
	leave(1)
	p := startProcess(t, l, public)
	hear := func(kinds ...entries.Kind) {
		t.Helper()
		if err := p.entries.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, fdpass.MaxPacket)
		n, _, err := p.entries.Receive(buf, 0)
		if err != nil {
			t.Fatalf("%v\n%s", err, p.log)
		}
		if m := entries.Kind(buf[0]); n == 0 || !slices.Contains(kinds, m) {
			t.Errorf("heard %c", m)
		}
	}
	hear(entries.Announced, entries.Scan) // the link may come second
	leave(2)
	hear(entries.Announced)
	p.stop()
}

func TestRefusesToRunAlone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{asSpool + "=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitNotOurs || !strings.HasPrefix(string(out), "qmail-spool: fatal: ") {
		t.Errorf("%v: %q", err, out)
	}
}

// One that is replaced waits for a message that arrives slowly, serves others
// meanwhile, and is gone then; who comes next finds the socket of its successor.
func TestReplaced(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	public := listen(t, l)
	p := startProcess(t, l, public)
	slow := p.connect()
	defer slow.Close()
	whole := frames(strings.Repeat("slow\n", 1000), goodEnvelope, newNonce())
	if _, err := slow.Write(whole[:100]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(slowly) // until it counts as slow
	p.send(parent.Frame{Kind: parent.Drain})
	other := p.connect()
	defer other.Close()
	for i, c := range []*os.File{other, slow} {
		rest := whole[100:]
		if i == 0 {
			rest = frames("quick\n", goodEnvelope, newNonce())
		}
		if _, err := c.Write(rest); err != nil {
			t.Fatal(err)
		}
		if a, err := submit.ReadAnswer(c); err != nil || a.Kind != submit.Accepted {
			t.Errorf("message %d: %+v, %v", i, a, err)
		}
	}
	if err := <-p.exited; err != nil {
		t.Errorf("qmail-spool: %v\n%s", err, p.log)
	}
	next := startProcess(t, l, public)
	defer next.stop()
	next.connect().Close()
}
