package getent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/footprint"
)

const (
	// Path is where getent is.
	Path = "/usr/bin/getent"
	// Limit is how long a run may take.
	Limit = 4 * time.Second

	// MaxNames is how many names LookupAll takes.
	MaxNames = 16

	maxName   = 32
	maxOutput = 16 << 10 // for each name
)

// Program runs getent.
type Program struct {
	Path  string
	Limit time.Duration
	// Probe is an account that the server has and no file; empty for none.
	Probe string
	// NeedsProbe says that a source may be away.
	NeedsProbe bool
}

// Lookup asks for the account called name.
func (p Program) Lookup(name string) (accounts.Account, error) {
	if !IsName(name) {
		return accounts.Account{}, accounts.ErrUnknown
	}
	output, exit, err := p.run(name)
	if err != nil {
		return accounts.Account{}, fmt.Errorf("getent: %w", err)
	}
	return judge(name, p.Probe, p.NeedsProbe, output, exit)
}

// Answer is what is known of a name.
type Answer struct {
	Account accounts.Account
	Err     error
}

// errNoAnswer says that a run took too long.
var errNoAnswer = errors.New("no answer")

// LookupAll asks for up to MaxNames accounts in one run: the programs of the C
// library take longer to start than to answer. A name about which that leaves a
// doubt is asked for alone, so that no name spoils the answer for another, until
// one of them has no answer in time either: then the server is away.
func (p Program) LookupAll(names []string) []Answer {
	var found map[string]accounts.Account
	var others error
	if len(names) > 1 && !slices.ContainsFunc(names, func(name string) bool { return !IsName(name) }) {
		if output, exit, err := p.run(names...); err == nil {
			found, others = judgeAll(names, p.Probe, p.NeedsProbe, output, exit)
		}
	}
	answers := make([]Answer, len(names))
	for i, name := range names {
		account, known := found[name]
		switch {
		case known:
			answers[i].Account = account
		case others != nil:
			answers[i].Err = others
		default:
			answers[i].Account, answers[i].Err = p.Lookup(name)
			if errors.Is(answers[i].Err, errNoAnswer) {
				others = answers[i].Err
			}
		}
	}
	return answers
}

// run returns what getent writes about names and the probe, and its exit code.
func (p Program) run(names ...string) (output string, exit int, err error) {
	argv := append([]string{"getent", "passwd"}, names...)
	if p.Probe != "" {
		argv = append(argv, p.Probe)
	}
	most := len(names) * maxOutput
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return "", 0, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return "", 0, err
	}
	defer r.Close()
	process, err := footprint.StartProgram(p.Path, argv, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=/usr/bin:/bin", "LC_ALL=C"},
		Files: []*os.File{null, w, null},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	_ = w.Close() // nothing was written to this end
	if err != nil {
		return "", 0, err
	}
	// What it started may hold the pipe after its end: both end together.
	end := &group{leader: process.Pid}
	timer := time.AfterFunc(p.Limit, end.kill)
	defer timer.Stop()
	var read bytes.Buffer
	// Nor does one hold us up that took leave of the group.
	if err := r.SetReadDeadline(time.Now().Add(p.Limit + time.Second)); err != nil {
		end.kill()
	}
	_, readErr := io.Copy(&read, io.LimitReader(r, int64(most)+1))
	if read.Len() > most {
		end.kill()
	}
	expired := end.wait()
	state, err := process.Wait()
	end.forget()
	switch {
	case expired && read.Len() > most:
		return "", 0, fmt.Errorf("more than %d bytes", most)
	case expired:
		return "", 0, fmt.Errorf("%w in %v", errNoAnswer, p.Limit)
	case readErr != nil:
		return "", 0, readErr
	case err != nil:
		return "", 0, err
	case !state.Exited():
		return "", 0, errors.New(state.String())
	}
	return read.String(), state.ExitCode(), nil
}

// group is a process group that may have to be killed while its leader's number
// is still its own.
type group struct {
	leader int

	mu     sync.Mutex
	killed bool
	gone   bool
}

func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.gone {
		g.killed = unix.Kill(-g.leader, unix.SIGKILL) == nil || g.killed
	}
}

// wait returns when the leader has ended and is not reaped yet, and tells
// whether it was killed.
func (g *group) wait() bool {
	for unix.Waitid(unix.P_PID, g.leader, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.killed
}

func (g *group) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
}
