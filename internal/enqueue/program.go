package enqueue

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/offspring"
)

// Descriptors of a queue program (spec section 1.2).
const (
	programMessage  = 0
	programEnvelope = 1
	programText     = 6 // error text, notqmail; callers of other lineages use 4
	programTextOld  = 4
	maxText         = 255
	// errorFD is the variable that names another descriptor for the text.
	errorFD = "ERROR_FD"
)

// textWait is how long a queue program that has ended may leave its error
// text open to a background process of its own.
const textWait = time.Second

// program carries a message through the program that $QMAILQUEUE names.
type program struct {
	messageTo *os.File
	envTo     *os.File
	text      chan string // one value: the error text
	textFrom  *os.File
	unread    bool // it closed a pipe that still had bytes to come
	watch     *watch
}

// startProgram starts the queue program in the qmail home directory, without
// arguments and without a shell.
func startProgram(o Options) (*program, error) {
	if err := unix.Access(o.Home, unix.X_OK); err != nil {
		return nil, failure(ExitHome, "enter "+o.Home, err)
	}
	var ends [6]*os.File // reader and writer of three pipes
	for i := 0; i < len(ends); i += 2 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ends[:])
			return nil, failure(ExitRead, "make pipes", err)
		}
		ends[i], ends[i+1] = r, w
	}
	files := inherited()
	files[programMessage] = blocking(ends[0])
	files[programEnvelope] = blocking(ends[2])
	files[programText] = blocking(ends[5])
	if o.Stderr != nil {
		files[2] = blocking(o.Stderr)
	}
	if files[programTextOld] == closedFile {
		files[programTextOld] = files[programText]
	}
	if fd, named := textDescriptor(o.Environ); named {
		files[fd] = files[programText]
	}
	watch, err := launch(o, files[:])
	if err != nil {
		closeAll(ends[:])
		return nil, failure(exitExec, "start "+o.QueueProgram, err)
	}
	closeAll([]*os.File{ends[0], ends[2], ends[5]})
	p := &program{messageTo: ends[1], envTo: ends[3], textFrom: ends[4], text: make(chan string, 1), watch: watch}
	if o.Limit > 0 {
		// One that could not be killed may hold the pipes for longer.
		for _, f := range []*os.File{p.messageTo, p.envTo} {
			_ = f.SetWriteDeadline(time.Now().Add(o.Limit + textWait)) // a pipe of ours can
		}
	}
	go p.readText()
	return p, nil
}

// launch starts the program.
func launch(o Options, files []uintptr) (*watch, error) {
	fork := func() (pid int, err error) {
		return syscall.ForkExec(o.QueueProgram, []string{o.QueueProgram},
			&syscall.ProcAttr{Dir: o.Home, Env: o.Environ, Files: files, Sys: &syscall.SysProcAttr{Setpgid: o.Limit > 0}})
	}
	if o.Limit == 0 { // nobody ends it, and our own limits stay as they are
		pid, err := fork()
		if err != nil {
			return nil, err
		}
		return watchProgram(pid, offspring.Family{}, 0, o.GiveUp), nil
	}
	var pid int
	family, err := offspring.Start(func() (leader int, err error) {
		if o.StartBy == nil {
			pid, err = fork()
		} else {
			pid, err = o.StartBy(fork)
		}
		return pid, err
	})
	if err != nil && pid == 0 {
		return nil, err
	}
	w := watchProgram(pid, family, o.Limit, o.GiveUp)
	if err != nil {
		w.kill()
		_, _ = w.wait() // it has done nothing yet
		return nil, err
	}
	return w, nil
}

// textDescriptor is what $ERROR_FD says.
func textDescriptor(environ []string) (fd int, named bool) {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, errorFD+"="); found {
			n, err := strconv.Atoi(value)
			fd, named = n, err == nil && n > programEnvelope && n <= programText
		}
	}
	return fd, named
}

const closedFile = ^uintptr(0)

// inherited returns descriptors 0 to 6 as a program gets them from us: those
// that we got from our own caller, and nothing that is ours.
func inherited() [programText + 1]uintptr {
	var files [programText + 1]uintptr
	for fd := range files {
		files[fd] = closedFile
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			files[fd] = uintptr(fd)
		}
	}
	return files
}

// blocking returns the descriptor of a pipe's end that another program gets.
func blocking(f *os.File) uintptr { return f.Fd() }

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // pipes: a close has nothing to report
		}
	}
}

func (p *program) readText() {
	var text []byte
	buf := make([]byte, maxText)
	for len(text) < maxText {
		n, err := p.textFrom.Read(buf[:maxText-len(text)])
		text = append(text, buf[:n]...)
		if err != nil {
			break
		}
	}
	p.text <- string(text)
	_, _ = io.Copy(io.Discard, p.textFrom) // one that says more must not wait for us
}

func (p *program) message(b []byte) error { return p.write(p.messageTo, b) }

func (p *program) envelope(b []byte) error {
	if p.messageTo != nil {
		// The program reads its envelope only after the end of the message.
		_ = p.messageTo.Close() // pipes: a close has nothing to report
		p.messageTo = nil
	}
	return p.write(p.envTo, b)
}

// write hands bytes to the program. One that closed its end has something to
// say about that in its exit status.
func (p *program) write(f *os.File, b []byte) error {
	_, err := f.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.unread = true
		return nil
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure(ExitTimeout, "write to the queue program", err)
	}
	return failure(ExitWrite, "write to the queue program", err)
}

func (p *program) commit() (string, error) {
	defer p.end()
	p.closePipes()
	code, err := p.wait()
	if err != nil {
		return "", err
	}
	if code == ExitOK && p.unread { // it cannot have queued what it did not read
		return "", failure(ExitRead, "queue program", errors.New("it succeeded without reading everything"))
	}
	if code == ExitOK {
		return strconv.Itoa(p.watch.pid), nil
	}
	text := p.errorText()
	if (code == ExitCustom || code == exitCustomLegacy) && len(text) > 2 && (text[0] == 'D' || text[0] == 'Z') {
		return "", explained(code, text[0] == 'D', "3.0", text[1:], "queue program")
	}
	return "", failure(code, "queue program", nil)
}

func (p *program) closePipes() {
	closeAll([]*os.File{p.messageTo, p.envTo})
	p.messageTo, p.envTo = nil, nil
}

// end frees what is left once the program has ended; a background process of
// its own may hold the other end of the text for ever.
func (p *program) end() { _ = p.textFrom.Close() } // only read from

// wait returns the program's exit code.
func (p *program) wait() (int, error) {
	status, err := p.watch.wait()
	if err != nil {
		return 0, classified(false, "3.0", "qq waitpid surprise (#4.3.0)", "wait for the queue program",
			&exitStatus{code: ExitBug, err: err})
	}
	if p.watch.killed && status.Signaled() {
		return 0, failure(ExitTimeout, "queue program", errors.New("it took too long and was killed"))
	}
	if !status.Exited() {
		return 0, classified(false, "3.0", "qq crashed (#4.3.0)", "queue program",
			&exitStatus{code: ExitBug, err: errors.New(status.Signal().String())})
	}
	return status.ExitStatus(), nil
}

// errorText returns what the program, now gone, wrote for us.
func (p *program) errorText() string {
	// What is in the pipe is read at once; only its end may never come.
	_ = p.textFrom.SetReadDeadline(time.Now().Add(textWait)) // a pipe of ours can
	return strings.TrimRight(<-p.text, "\r\n")               // programs write lines
}

// abort ends the envelope too early: the program then queues nothing.
func (p *program) abort() {
	defer p.end()
	p.closePipes()
	_, _ = p.wait() // whatever it says, the message is given up
}
