// Package checkpassword runs programs with the checkpassword interface (spec
// sections 8.4 and 6.7), one process an attempt.
//
// Imported by qmail-checkpass, and by qmail-smtpd for its classic form, which
// runs them itself. The program is the administrator's; names and passwords are
// hostile: they reach it on descriptor 3 only, and never as an argument or in the
// environment.
package checkpassword

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"postrider/internal/footprint"
	"postrider/internal/offspring"
)

const (
	// maxInput is what checkpassword programs read.
	maxInput = 512
	// Limit is how long an attempt may take.
	Limit = 30 * time.Second
	// searchPath is where the program looks for others.
	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Exit codes that say that the program cannot tell (spec section 8.4).
const (
	exitMisused  = 2
	exitDeferred = 111
)

var (
	errSlow  = errors.New("it did not end in time")
	errEmpty = errors.New("names no program by its full path")
)

// Program is a checkpassword program with its arguments, the last of which are
// mostly "/bin/true": what it runs when the password is right.
type Program struct {
	Argv []string
	// Environ is its environment; a PATH is added if it has none.
	Environ []string
	// Limit is how long it may take: mostly Limit.
	Limit time.Duration
	// Log takes what it writes to descriptor 2.
	Log *os.File
	// StartBy, if not nil, is called to start it: by fork, once. If it returns
	// a number with an error, that is ended.
	StartBy func(fork func() (pid int, err error)) (pid int, err error)
}

// Parse reads a line "program arguments...".
func Parse(line string) (argv []string, err error) {
	argv = strings.Fields(line)
	if len(argv) == 0 || argv[0][0] != '/' {
		return nil, errEmpty
	}
	return argv, nil
}

// Check runs the program for a password, or for the answer to a challenge in
// hexadecimal digits. An error says that it cannot be found out now.
func (p Program) Check(user string, password, challenge []byte) (ok bool, err error) {
	input := make([]byte, 0, maxInput)
	for _, field := range [][]byte{[]byte(user), password, challenge} {
		if strings.Contains(string(field), "\x00") || len(input)+len(field)+1 > maxInput {
			return false, nil // no program would know it
		}
		input = append(append(input, field...), 0)
	}
	status, err := p.run(input)
	if err != nil {
		return false, fmt.Errorf("%s: %w", p.Argv[0], err)
	}
	switch code := status.ExitStatus(); {
	case status.Signaled():
		return false, fmt.Errorf("%s: killed by signal %d", p.Argv[0], int(status.Signal()))
	case code == exitMisused, code == exitDeferred:
		return false, fmt.Errorf("%s: exit code %d", p.Argv[0], code)
	default:
		return code == 0, nil
	}
}

// run gives the program its input and waits for its end.
func (p Program) run(input []byte) (syscall.WaitStatus, error) {
	var process *os.Process
	fork := func() (pid int, err error) {
		if process, err = p.start(input); err != nil {
			return 0, err
		}
		return process.Pid, nil
	}
	family, err := offspring.Start(func() (leader int, err error) {
		if p.StartBy == nil {
			return fork()
		}
		return p.StartBy(fork)
	})
	if err != nil {
		if process != nil {
			family.Kill()
			_, _ = process.Wait() // whatever it says is not waited for
		}
		return 0, err
	}
	type end struct {
		state *os.ProcessState
		err   error
	}
	ended := make(chan end, 1)
	go func() {
		state, err := process.Wait()
		ended <- end{state, err}
	}()
	until := time.Now().Add(p.Limit)
	timer := time.NewTimer(p.Limit)
	defer timer.Stop()
	defer func() { family.Rest(until) }() // what it has left behind has the same time
	select {
	case e := <-ended:
		if e.err != nil {
			return 0, e.err
		}
		return e.state.Sys().(syscall.WaitStatus), nil
	case <-timer.C:
		family.Kill()
		<-ended
		return 0, errSlow
	}
}

func (p Program) environ() []string {
	if slices.ContainsFunc(p.Environ, func(s string) bool { return strings.HasPrefix(s, "PATH=") }) {
		return p.Environ
	}
	return append([]string{"PATH=" + searchPath}, p.Environ...)
}

// start starts the program. All of its input fits into a pipe.
func (p Program) start(input []byte) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// It waits for the end of its input, and a start that fails for its end.
	if _, err := w.Write(input); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return footprint.StartProgram(p.Argv[0], p.Argv, &os.ProcAttr{
		Dir:   "/",
		Env:   p.environ(),
		Files: []*os.File{null, null, p.Log, r},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
}
