package enqueue

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of a queue program (spec section 1.2).
const (
	programMessage  = 0
	programEnvelope = 1
	programText     = 6 // error text, notqmail; callers of other lineages use 4
	programTextOld  = 4
	maxText         = 255
)

// textWait is how long a queue program that has ended may leave its error
// text open to a background process of its own.
const textWait = time.Second

// program carries a message through the program that $QMAILQUEUE names.
type program struct {
	pid       int
	messageTo *os.File
	envTo     *os.File
	text      chan string // one value: the error text
	textFrom  *os.File
	unread    bool // it closed a pipe that still had bytes to come
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
	if files[programTextOld] == closedFile {
		files[programTextOld] = files[programText]
	}
	pid, err := syscall.ForkExec(o.QueueProgram, []string{o.QueueProgram},
		&syscall.ProcAttr{Dir: o.Home, Env: o.Environ, Files: files[:]})
	if err != nil {
		closeAll(ends[:])
		return nil, failure(exitExec, "start "+o.QueueProgram, err)
	}
	closeAll([]*os.File{ends[0], ends[2], ends[5]})
	p := &program{pid: pid, messageTo: ends[1], envTo: ends[3], textFrom: ends[4], text: make(chan string, 1)}
	go p.readText()
	return p, nil
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
	if err == nil {
		return nil
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
		return strconv.Itoa(p.pid), nil
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
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.pid, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, classified(false, "3.0", "qq waitpid surprise (#4.3.0)", "wait for the queue program",
				&exitStatus{code: ExitBug, err: err})
		}
		break
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
	return <-p.text
}

// abort ends the envelope too early: the program then queues nothing.
func (p *program) abort() {
	defer p.end()
	p.closePipes()
	_, _ = p.wait() // whatever it says, the message is given up
}
