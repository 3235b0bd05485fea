package rspawn

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"postrider/internal/footprint"
	"postrider/internal/limits"
	"postrider/internal/offspring"
	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
)

const (
	// runLimit is how long a program may take: a large message to a slow host
	// takes hours.
	runLimit = 24 * time.Hour
	// maxOutput is what a program may print before nobody listens any more.
	maxOutput = 1 << 20
	// lateOutput is how long what it has left behind may hold its output open.
	lateOutput = time.Second
)

// program is the one that QMAILREMOTE names.
type program struct {
	path    string // absolute
	dir     string // working directory
	environ []string
	limits  limits.Limits
}

// run delivers to one recipient. An error is for the log; the result tells of it
// all the same.
func (p program) run(ctx context.Context, host, sender, recipient string, message *os.File) (spawn.Result, error) {
	if _, err := message.Seek(0, io.SeekStart); err != nil {
		return deferral("Unable to read message. (#4.3.0)\n"), err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return deferral("qmail-spawn unable to create pipe. (#4.3.0)\n"), err
	}
	defer r.Close()
	out := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r, maxOutput))
		if len(b) == maxOutput {
			_ = r.Close() // who goes on to write gets SIGPIPE
		}
		out <- b
	}()
	state, err := p.start(ctx, []string{p.path, host, sender, recipient}, message, w)
	_ = w.Close() // nothing was written to this end
	if deadline := r.SetReadDeadline(time.Now().Add(lateOutput)); deadline != nil {
		_ = r.Close() // ends the reading as well
	}
	output := <-out
	switch {
	case err != nil:
		return deferral("Unable to run qmail-remote. (#4.3.0)\n"), err
	case state == nil:
		return deferral("qmail-remote ran too long and was killed. (#4.3.0)\n"), nil
	}
	result := judge(state, output)
	result.Text = result.Text[:min(len(result.Text), spawn.MaxText)]
	return result, nil
}

// start runs the program to its end; without a state it was killed at its limit,
// or because nobody waits for it any more.
func (p program) start(ctx context.Context, argv []string, in, out *os.File) (*os.ProcessState, error) {
	var process *os.Process
	family, err := offspring.Start(func() (leader int, err error) {
		return p.limits.Start(func() (pid int, err error) {
			process, err = footprint.StartProgram(p.path, argv, &os.ProcAttr{
				Dir: p.dir, Env: p.environ, Files: []*os.File{in, out, out}, Sys: &syscall.SysProcAttr{Setpgid: true},
			})
			if err != nil {
				return 0, err
			}
			return process.Pid, nil
		})
	})
	if err != nil {
		if process != nil {
			family.Kill()
			_, _ = process.Wait() // what it says does not count
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	var limit offspring.Expiry
	stop := context.AfterFunc(ctx, func() { limit.Kill(family) })
	defer stop()
	state, err := process.Wait()
	if limit.Ended() {
		family.Rest(time.Now()) // who escaped
		return nil, nil
	}
	return state, err
}

// find returns the absolute path of a program: it may be looked for in PATH.
func find(name string, environ []string) (string, error) {
	if name == "" {
		return "", errors.New("QMAILREMOTE names no program")
	}
	if strings.HasPrefix(name, "/") {
		return name, nil
	}
	if strings.Contains(name, "/") {
		return "", errors.New("QMAILREMOTE is neither an absolute path nor a name to be found in PATH")
	}
	for _, entry := range environ {
		path, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for dir := range strings.SplitSeq(path, ":") {
			candidate := dir + "/" + name
			if info, err := os.Stat(candidate); strings.HasPrefix(dir, "/") && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
	}
	return "", errors.New("there is no program " + name + " in PATH, which QMAILREMOTE names")
}

// messageFile returns the message as a file that can be read from its beginning;
// done closes it, if it was made here.
func messageFile(m spawn.Message) (f *os.File, done func(), err error) {
	if m.ByFile {
		return m.File, func() {}, nil
	}
	if f, err = queuedir.Memfd(m.Bytes); err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}
