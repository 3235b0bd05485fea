package start

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/handover"
	"postrider/internal/listener"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// handed returns what a successor sees of a text: its descriptor is the first,
// and those of the given files follow.
func handed(t *testing.T, text []byte, fds ...int) []string {
	t.Helper()
	fd, err := unix.MemfdCreate("text", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, text); err != nil {
		t.Fatal(err)
	}
	return handover.With(nil, os.Getpid(), append([]int{fd}, fds...))
}

func textOf(t *testing.T, s handover.State) []byte {
	t.Helper()
	text, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestHandOverIsRefused: what is newer, damaged, or not what it says is refused
// in words, and so are members that no release beside this one has.
func TestHandOverIsRefused(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	good := handover.State{Speaks: 1, Lock: fd, Public: fd, Manage: fd}
	if in, err := takeHandOver(handed(t, textOf(t, good), fd), os.Getpid()); err != nil || !in.begun {
		t.Fatalf("a good one: %+v, %v", in, err)
	}
	if in, err := takeHandOver(nil, os.Getpid()); in != nil || err != nil {
		t.Errorf("none: %+v, %v", in, err)
	}
	far := good
	far.Members = []handover.Member{{Name: "qmail-send", PID: 7, Channel: -1, Speaks: parent.Version + 2}}
	next := good
	next.Members = []handover.Member{{Name: "qmail-send", PID: 7, Channel: -1, Speaks: parent.Version + 1}}
	if _, err := takeHandOver(handed(t, textOf(t, next), fd), os.Getpid()); err != nil {
		t.Errorf("members of the next release, as at a downgrade: %v", err)
	}
	for _, c := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"members of a release far away", handed(t, textOf(t, far), fd), "qmail-send (pid 7): the other side speaks version 3 of the protocols between daemons, and this release 1 to 1: stop the suite"},
		{"a later form", handed(t, []byte("postrider handover 2\nx\ncrc 0\n"), fd), `of version "2"`},
		{"damaged", handed(t, append(textOf(t, good), 'x'), fd), "damaged"},
		{"empty", handed(t, nil, fd), "hand-over"},
		{"a descriptor that did not come along", handed(t, textOf(t, good)), "was not handed over"},
		{"too long", handed(t, make([]byte, handover.MaxText+1), fd), "too long"},
	} {
		if in, err := takeHandOver(c.environ, os.Getpid()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", c.name, in, err)
		}
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Error("a descriptor that was handed over goes on to children")
	}
}

// TestSuccessorBeginsWithSignalsBlocked: until it listens for them they would end
// it, and the suite with it. Mutation: without the thread that is held most
// tries fail, since a goroutine that has slept goes on in another one.
func TestSuccessorBeginsWithSignalsBlocked(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for try := range 20 {
		out, err := (&exec.Cmd{Path: self, Args: []string{"testator"}}).Output()
		if err != nil {
			t.Fatal(err)
		}
		// HUP 1, INT 2, USR2 12, ALRM 14, TERM 15: bit n-1 of the word.
		if got := string(out); got != "SigBlk:\t0000000000006803\n" {
			t.Fatalf("try %d: the successor has %q", try, got)
		}
	}
}

// TestSignalsEndNoSuccessor: at no moment of a change of programs does a signal end
// the process.
func TestSignalsEndNoSuccessor(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"dynasty", "100", "first"}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); line != "the first one\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ended := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(in)
		ended <- fmt.Sprint(string(rest), cmd.Wait())
	}()
	for sent := 0; ; sent++ {
		select {
		case how := <-ended:
			if how != "the last one\n<nil>" {
				t.Errorf("after %d signals: %s", sent, how)
			}
			return
		case <-time.After(3 * time.Millisecond):
			signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGALRM, syscall.SIGUSR2}
			_ = cmd.Process.Signal(signals[sent%len(signals)]) // or it has just ended
		}
	}
}

// TestEndAmongSuccessors: TERM and INT end the process whenever they come: as it
// does that itself, or at once.
func TestEndAmongSuccessors(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for try := range 150 {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[try%2]
		cmd := &exec.Cmd{Path: self, Args: []string{"dynasty", "20", "first"}}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		if line, err := in.ReadString('\n'); line != "the first one\n" {
			t.Fatalf("%q, %v", line, err)
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond) // any moment of it
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(in)
		if how := fmt.Sprint(string(rest), cmd.Wait()); how != "as it was asked\n<nil>" && how != "signal: "+sig.String() {
			t.Errorf("try %d: %v is lost: %s", try, sig, how)
		}
	}
}

// TestSignalsWithoutSuccessor: one that cannot be executed leaves signals as they
// were.
func TestSignalsWithoutSuccessor(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := (&exec.Cmd{Path: self, Args: []string{"childless"}}).Output()
	if want := "exec /nowhere: no such file or directory\nhangup\nalarm clock\nuser defined signal 2\nterminated\ninterrupt\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v", out, err)
	}
}

// TestLoggerThatIsNotWantedAnyMore: it reads to the end of its pipe, of which
// nothing is kept.
func TestLoggerThatIsNotWantedAnyMore(t *testing.T) {
	t.Parallel()
	var own, given [2]int
	if err := unix.Pipe2(own[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	for i, fd := range own {
		var err error
		if given[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			t.Fatal(err)
		}
	}
	defer unix.Close(own[0])
	in := &inheritance{State: handover.State{Logger: true, LogRead: given[0], LogWrite: given[1]}}
	if l, err := in.takeLogger(world.World{Home: t.TempDir()}, settings{}); l != nil || err != nil {
		t.Fatalf("%v, %v", l, err)
	}
	unix.Close(own[1])
	// What other tests start may have the end for a moment.
	for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(own[0])}}, 60_000)
	}
	if n, err := unix.Read(own[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the logger reads %d bytes, %v: it never ends", n, err)
	}
}

// heirloom is a successor that says what a test wants.
type heirloom struct {
	says     chan error
	signals  int // that come first
	replaced int
}

func (h *heirloom) check(handover.State) error { return <-h.says }

func (h *heirloom) replace(handover.State) error {
	h.replaced++
	if h.replaced <= h.signals {
		return errSignalFirst
	}
	return errors.New("exec failed")
}

// TestUpgradeThatFails: nothing is replaced by a successor that cannot go on, is
// asked twice at a time, or cannot be executed.
func TestUpgradeThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heir := &heirloom{says: make(chan error)}
		p := newPlayWith(func(*stage) {}, func(s *supervisor) {
			s.successor = heir
			for _, f := range []**os.File{&s.estate.lock, &s.estate.public.public, &s.estate.public.manage} {
				*f = os.Stdin
			}
		})
		p.signals <- syscall.SIGUSR2
		p.signals <- syscall.SIGUSR2
		synctest.Wait()
		if !p.logged("an upgrade has begun already") {
			t.Errorf("a second signal:\n%s", p.text())
		}
		heir.says <- errors.New("no such setting")
		synctest.Wait()
		if heir.replaced != 0 || !p.logged("no upgrade, all runs on as it was: no such setting") {
			t.Errorf("%d replaced:\n%s", heir.replaced, p.text())
		}
		p.signals <- syscall.SIGUSR2
		synctest.Wait()
		heir.says <- nil
		synctest.Wait()
		if heir.replaced != 1 || !p.logged("no upgrade, all runs on as it was: exec failed") {
			t.Errorf("%d replaced:\n%s", heir.replaced, p.text())
		}
		for name, all := range p.all() {
			if len(all) != 1 || len(all[0].signals()) != 0 {
				t.Errorf("%s was started %d times and got %v", name, len(all), all[0].signals())
			}
		}
		p.signals <- syscall.SIGUSR2 // and it stops while the successor thinks
		synctest.Wait()
		go func() { time.Sleep(time.Second); heir.says <- nil }()
		if got := p.end(); got != 0 || heir.replaced != 1 {
			t.Errorf("status %d, %d replaced", got, heir.replaced)
		}
		time.Sleep(time.Minute)
	})
}

// TestSignalAtTheLastMoment: it is obeyed, and the upgrade goes on.
func TestSignalAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heir := &heirloom{says: make(chan error, 1), signals: 3}
		p := newPlayWith(func(*stage) {}, func(s *supervisor) {
			s.successor = heir
			for _, f := range []**os.File{&s.estate.lock, &s.estate.public.public, &s.estate.public.manage} {
				*f = os.Stdin
			}
		})
		heir.says <- nil
		p.signals <- syscall.SIGUSR2
		synctest.Wait()
		if heir.replaced != 4 || p.logged("which goes first") || !p.logged("no upgrade, all runs on as it was: exec failed") {
			t.Errorf("%d tries:\n%s", heir.replaced, p.text())
		}
		if got := p.end(); got != 0 {
			t.Errorf("status %d", got)
		}
	})
}

// TestPortThatCannotBeHadAfterAnUpgrade: what ran before runs on, and the port
// is served once it is there.
func TestPortThatCannotBeHadAfterAnUpgrade(t *testing.T) {
	any := netip.MustParseAddrPort("127.0.0.1:0")
	taken, err := listenTCP(any)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	socket, err := takeOver(int(taken.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPlayWith(func(*stage) {}, func(s *supervisor) {
			s.upgraded = true
			v := services()[0]
			s.want([]endpoint{{listener.Address{AddrPort: socket.at}, v, nil}, {listener.Address{AddrPort: netip.MustParseAddrPort("192.0.2.1:1")}, v, nil}})
		})
		time.Sleep(2 * patience)
		synctest.Wait()
		if !p.logged("alert: unable to listen on "+socket.at.String(), "another program has the port", "all else is served") ||
			!p.logged("alert: unable to listen on 192.0.2.1:1", "does not have the address") || p.logged("stopping") {
			t.Errorf("the log:\n%s", p.text())
		}
		socket.file.Close()
		time.Sleep(2 * patience)
		synctest.Wait()
		if !p.logged("listening on " + socket.at.String()) {
			t.Errorf("not served:\n%s", p.text())
		}
		if got := p.end(); got != 0 {
			t.Errorf("status %d", got)
		}
	})
}
