package start

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/listener"
	"postrider/internal/priv"
	"postrider/internal/wire/parent"
)

// stage is a launcher of processes that a test ends. They live in virtual
// time, so that they do not read their control channels.
type stage struct {
	stubborn map[string]bool // does not end at TERM
	immortal map[string]bool // does not end at KILL

	mu       sync.Mutex // virtual time that goes by orders nothing
	launched map[string][]*actor
	broken   map[string]bool     // cannot be launched
	channels map[string]*os.File // control channels that are kept open
}

// runs are the processes of a member so far.
func (st *stage) runs(name string) []*actor {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.launched[name])
}

// all are the processes of all members so far.
func (st *stage) all() map[string][]*actor {
	st.mu.Lock()
	defer st.mu.Unlock()
	return maps.Clone(st.launched)
}

// mend lets a member be launched again.
func (st *stage) mend(name string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.broken[name] = false
}

// actor is a process that ends when it is told to.
type actor struct {
	stage *stage
	name  string
	got   []syscall.Signal // under the lock of the stage
	end   chan syscall.WaitStatus
}

func (st *stage) launch(m *member, control *os.File) (process, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.broken[m.name] {
		return nil, errors.New("no such program")
	}
	if st.channels != nil {
		fd, err := unix.FcntlInt(control.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if old := st.channels[m.name]; old != nil {
			old.Close()
		}
		st.channels[m.name] = os.NewFile(uintptr(fd), m.name)
	}
	a := &actor{stage: st, name: m.name, end: make(chan syscall.WaitStatus, 1)}
	st.launched[m.name] = append(st.launched[m.name], a)
	return a, nil
}

func (a *actor) pid() int { return 7 }

func (a *actor) signal(sig syscall.Signal) error {
	a.stage.mu.Lock()
	a.got = append(a.got, sig)
	a.stage.mu.Unlock()
	switch {
	case sig == syscall.SIGTERM && !a.stage.stubborn[a.name], sig == syscall.SIGKILL && !a.stage.immortal[a.name]:
		a.die(syscall.WaitStatus(sig))
	}
	return nil
}

// signals are those it got so far.
func (a *actor) signals() []syscall.Signal {
	a.stage.mu.Lock()
	defer a.stage.mu.Unlock()
	return slices.Clone(a.got)
}

func (a *actor) die(status syscall.WaitStatus) { a.end <- status }

func (a *actor) wait() (syscall.WaitStatus, error) { return <-a.end, nil }

func exited(code int) syscall.WaitStatus { return syscall.WaitStatus(code << 8) }

// play is a supervisor in virtual time with its log.
type play struct {
	*stage
	lines   []string // under the lock of the stage
	begun   time.Time
	signals chan os.Signal
	status  chan int
}

// newPlay starts a supervisor; call it in a synctest bubble.
func newPlay(prepare func(*stage)) *play { return newPlayWith(prepare, func(*supervisor) {}) }

// newPlayWith is newPlay with a supervisor that is made ready.
func newPlayWith(prepare func(*stage), ready func(*supervisor)) *play {
	p := &play{
		stage:   &stage{launched: map[string][]*actor{}, broken: map[string]bool{}, stubborn: map[string]bool{}, immortal: map[string]bool{}},
		begun:   time.Now(),
		signals: make(chan os.Signal, 1),
		status:  make(chan int, 1),
	}
	prepare(p.stage)
	log := func(line string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lines = append(p.lines, fmt.Sprintf("%v %s", time.Since(p.begun), line))
	}
	s := newSupervisor(newPlan(someSettings(1, "qmail-smtpd")), p.stage, clock.Real(), log)
	ready(s)
	go func() { p.status <- s.run(p.signals) }()
	synctest.Wait()
	return p
}

// latest returns the running process of a member.
func (p *play) latest(name string) *actor {
	all := p.runs(name)
	return all[len(all)-1]
}

// text is the log so far.
func (p *play) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// logged reports whether a line with all of the texts is in the log.
func (p *play) logged(texts ...string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.lines, func(line string) bool {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				return false
			}
		}
		return true
	})
}

func (p *play) end() int {
	p.signals <- syscall.SIGTERM
	return <-p.status
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(*stage) {})
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30} {
			want *= time.Second
			died := time.Now()
			p.latest("qmail-spool").die(exited(111))
			synctest.Wait()
			if want > 0 {
				time.Sleep(want - time.Millisecond)
				synctest.Wait()
				if len(p.runs("qmail-spool")) != i+1 {
					t.Fatalf("death %d: started again before %v", i+1, want)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if len(p.runs("qmail-spool")) != i+2 {
				t.Fatalf("death %d: not started again %v later", i+1, time.Since(died))
			}
		}
		if !p.logged("qmail-spool (pid 7) gave up", "exit code 111", "after 0s", "again in 30s") {
			t.Errorf("the log does not say so:\n%s", p.text())
		}
		time.Sleep(longLife)
		p.latest("qmail-spool").die(syscall.WaitStatus(syscall.SIGSEGV))
		synctest.Wait()
		if !p.logged("killed by signal 11", "after 1m0s", "again now") {
			t.Errorf("a death after a long life is not the first:\n%s", p.text())
		}
		if got := p.end(); got != 0 {
			t.Errorf("exit status %d", got)
		}
	})
}

// take takes all frames that are there, as a daemon does that lives, and
// returns how many.
func (st *stage) take(t *testing.T, name string) (n int) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	buf := make([]byte, 1<<16)
	oob := make([]byte, 1024)
	for {
		_, oobn, _, _, err := unix.Recvmsg(int(st.channels[name].Fd()), buf, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return n
		}
		n++
		if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 {
			fds, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}
}

// A daemon that takes its frames lives; one that is still starting has time;
// one that stops taking them is killed at the third look.
func TestDaemonThatDoesNothingIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(st *stage) { st.channels = make(map[string]*os.File) })
		lives := []string{"qmail-spool", "qmail-send", "qmail-remote 0"}
		look := func(first bool) {
			for _, name := range lives {
				if n := p.take(t, name); n == 0 {
					t.Errorf("%s is not asked", name)
				}
			}
			if first {
				p.take(t, "qmail-lspawn")
			}
			time.Sleep(pulseInterval)
			synctest.Wait()
		}
		look(true) // qmail-smtpd never takes what belongs to its start
		for i := range maxMissed {
			if len(p.runs("qmail-lspawn")) != 1 {
				t.Fatalf("killed at look %d", i)
			}
			look(false)
		}
		if len(p.runs("qmail-lspawn")) != 2 {
			t.Error("a daemon that does nothing is not killed")
		}
		if !p.logged("qmail-lspawn (pid 7) has done nothing for 30s; it is killed") {
			t.Errorf("the log does not say so:\n%s", p.text())
		}
		for _, name := range append(lives, "qmail-smtpd") {
			if len(p.runs(name)) != 1 {
				t.Errorf("%s was killed", name)
			}
		}
		p.end()
		for _, f := range p.channels {
			f.Close()
		}
	})
}

func TestProgramThatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(st *stage) { st.broken["qmail-lspawn"] = true })
		if !p.logged("qmail-lspawn cannot be started: no such program; it is started again in 1s") {
			t.Errorf("the log does not say so:\n%s", p.text())
		}
		p.mend("qmail-lspawn")
		time.Sleep(time.Second)
		synctest.Wait()
		if len(p.runs("qmail-lspawn")) != 1 {
			t.Error("not started when it was there")
		}
		p.end()
	})
}

func TestSignalsAreForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(*stage) {})
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGALRM} {
			p.signals <- sig
			synctest.Wait()
		}
		for name, actors := range p.all() {
			got := actors[0].signals()
			if name == "qmail-send" && !slices.Equal(got, []syscall.Signal{syscall.SIGHUP, syscall.SIGALRM}) {
				t.Errorf("qmail-send got %v", got)
			}
			if name != "qmail-send" && len(got) > 0 {
				t.Errorf("%s got %v", name, got)
			}
		}
		p.end()
	})
}

// A daemon that does not end when its channel does is told by TERM after 10 s
// and by KILL 5 s later; the next in order waits for it.
func TestStopEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(st *stage) {
			st.stubborn["qmail-send"] = true
			st.stubborn["qmail-lspawn"], st.immortal["qmail-lspawn"] = true, true
		})
		if got := p.end(); got != 0 {
			t.Errorf("exit status %d", got)
		}
		for _, want := range []string{
			"10s qmail-start: warning: qmail-smtpd (pid 7) has not finished in time; sending signal 15",
			"30s qmail-start: warning: qmail-send (pid 7) has not finished in time; sending signal 15",
			"35s qmail-start: warning: qmail-send (pid 7) does not end; sending signal 9",
			"50s qmail-start: warning: qmail-lspawn (pid 7) does not end; sending signal 9",
			"55s qmail-start: warning: qmail-lspawn (pid 7) cannot be killed; it is left behind",
			"1m15s qmail-start: stopped",
		} {
			if !p.logged(want) {
				t.Errorf("no line %q in\n%s", want, p.text())
			}
		}
		p.latest("qmail-lspawn").die(exited(0)) // so that its waiter ends
	})
}

func TestSecondTermDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(*stage) {})
		p.signals <- syscall.SIGTERM
		synctest.Wait()
		p.signals <- syscall.SIGTERM
		synctest.Wait()
		if !p.logged("0s qmail-start: warning: qmail-smtpd (pid 7) has not finished in time; sending signal 15") {
			t.Errorf("the second TERM waits:\n%s", p.text())
		}
		<-p.status
	})
}

func TestDeathWhileStoppingIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(*stage) {})
		p.signals <- syscall.SIGTERM
		synctest.Wait()
		p.latest("qmail-spool").die(exited(2))
		<-p.status
		if len(p.runs("qmail-spool")) != 1 {
			t.Error("started again while stopping")
		}
		if !p.logged("qmail-spool (pid 7) crashed", "while stopping") {
			t.Errorf("the log does not say so:\n%s", p.text())
		}
	})
}

// A peer that restarts again and again must not make us wait for one that does
// not read its channel (invariant 4).
func TestDeafDaemonIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(func(*stage) {})
		// The actors never read, but their ends are closed. Here is one open.
		s := newSupervisor(newPlan(someSettings(1)), keeper{p.stage, t}, clock.Real(), func(string) {})
		m := s.plan.member("qmail-send")
		s.start(m)
		for range 10000 {
			if m.lines == nil {
				break
			}
			s.give(m, parent.Frame{Kind: parent.Go})
		}
		a := p.latest("qmail-send")
		if m.lines != nil || !slices.Equal(a.signals(), []syscall.Signal{syscall.SIGKILL}) {
			t.Errorf("the deaf daemon got %v", a.signals())
		}
		p.end()
	})
}

// keeper keeps the daemon's end of the control channel open.
type keeper struct {
	*stage
	t *testing.T
}

func (k keeper) launch(m *member, control *os.File) (process, error) {
	fd, err := unix.FcntlInt(control.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	k.t.Cleanup(func() { unix.Close(fd) })
	return k.stage.launch(m, control)
}

func TestPlanAgreesWithTheTable(t *testing.T) {
	t.Parallel()
	received := make(map[string][]string)
	set := someSettings(3, "qmail-smtpd", "qmail-qmtpd", "qmail-qmqpd")
	set.asksNSS = true
	set.keys = []parent.Frame{{Kind: parent.KeysComplete}}
	set.clientKey, set.dkimKeys = set.keys, set.keys
	set.asksPolicy = true
	set.asksMTASTS, set.remembersTLS, set.reportsTLS = true, true, true
	set.filters, set.metrics = true, true
	domains, _ := priv.RoleOf("qmail-vlookup")
	set.looksIntoDomains = &domains
	add := func(m *member, name string) {
		for i := range 10 {
			switch name {
			case parent.SpawnRemote(i), parent.SignRemote(i), parent.DKIMRemote(i), parent.MTASTSRemote(i), parent.TLSSeenRemote(i), parent.TLSRPTRemote(i):
				name = strings.TrimSuffix(name, strconv.Itoa(i)) + "*"
			}
		}
		if !slices.Contains(received[m.role.Program], name) {
			received[m.role.Program] = append(received[m.role.Program], name)
		}
	}
	var p *plan
	for _, program := range []string{"qmail-auth", "qmail-checkpass"} {
		role, _ := priv.RoleOf(program)
		set.checksPasswords = &role
		p = newPlan(set)
		for _, l := range p.links {
			add(l.a, l.aName)
			add(l.b, l.bName)
		}
	}
	wrapped := set
	wrapped.wrapped = true
	for _, l := range newPlan(wrapped).links {
		add(l.a, l.aName)
		add(l.b, l.bName)
	}
	add(p.member("qmail-spool"), parent.Public)
	add(p.member("qmail-send"), parent.Manage)
	add(p.member("qmail-smtpd"), parent.ListenSMTP)
	add(p.member("qmail-qmtpd"), parent.ListenQMTP)
	add(p.member("qmail-qmqpd"), parent.ListenQMQP)
	add(p.member("qmail-metrics"), parent.ListenMetrics)
	for _, role := range priv.Roles() {
		got, want := received[role.Program], slices.Clone(role.Links)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s receives %v, its row says %v", role.Program, got, want)
		}
	}
}

// Without its port a server is of no use, but local mail flows until the wait
// is over.
func TestPortThatStaysBusy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := endpoint{Address: listener.Address{AddrPort: netip.MustParseAddrPort(l.Addr().String())}, service: service{program: "qmail-smtpd", listener: parent.ListenSMTP}}
	synctest.Test(t, func(t *testing.T) {
		st := &stage{launched: map[string][]*actor{}}
		var lines []string
		s := newSupervisor(newPlan(someSettings(1, "qmail-smtpd")), st, clock.Real(), func(line string) { lines = append(lines, line) })
		begun := time.Now()
		s.want([]endpoint{busy})
		if got := s.run(nil); got != exitDeferred {
			t.Errorf("exit status %d", got)
		}
		if waited := time.Since(begun); waited < patience || waited > patience+2*time.Minute {
			t.Errorf("gave up after %v", waited)
		}
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "qmail-start: fatal: unable to listen on") }) {
			t.Errorf("the log does not say so:\n%s", strings.Join(lines, "\n"))
		}
	})
}

// TestFiguresNeverStopMail: their port is waited for as others are, and then the
// suite does without.
func TestFiguresNeverStopMail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	set := someSettings(1, "qmail-smtpd")
	set.metrics = true
	busy := endpoint{Address: listener.Address{AddrPort: netip.MustParseAddrPort(l.Addr().String())}, service: services()[3]}
	synctest.Test(t, func(t *testing.T) {
		var s *supervisor
		p := newPlayWith(func(*stage) {}, func(made *supervisor) {
			s = made
			s.plan = newPlan(set)
			s.want([]endpoint{busy})
		})
		time.Sleep(patience + time.Minute)
		synctest.Wait()
		if s.end != nil || len(s.doors.wanted) > 0 || !p.logged("qmail-start: warning: unable to listen on", "the suite does without") {
			t.Errorf("wanted %v, log:\n%s", s.doors.wanted, p.text())
		}
		if status := p.end(); status != 0 {
			t.Errorf("status %d", status)
		}
	})
}

// someSettings has as many remote workers, and an endpoint for each program.
func someSettings(remotes int, programs ...string) settings {
	set := settings{remotes: remotes}
	for _, program := range programs {
		set.endpoints = append(set.endpoints, endpoint{service: service{program: program}})
	}
	return set
}
