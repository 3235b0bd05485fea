package start

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/world"
)

// logger is the log program of the command line. Both ends of its pipe stay
// open here, so that the daemons' log lines wait while it is started again.
type logger struct {
	path           string
	args           []string
	read, write    *os.File
	stdout, stderr *os.File
}

// findLogger finds the program as execvp does, by the caller's PATH. It has no
// pipe yet.
func findLogger(w world.World, args []string) (*logger, error) {
	search, _ := w.Getenv("PATH")
	path, err := findProgram(args[0], search)
	if err != nil {
		return nil, err
	}
	return &logger{path: path, args: args, stdout: w.Stdout, stderr: w.Stderr}, nil
}

// newLogger returns a logger with a pipe.
func newLogger(w world.World, args []string) (*logger, error) {
	l, err := findLogger(w, args)
	if err != nil {
		return nil, err
	}
	return l, l.pipe()
}

// pipe makes the pipe.
func (l *logger) pipe() error {
	// Not os.Pipe, whose ends do not block: the daemons' writes shall.
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe", err)
	}
	l.read, l.write = os.NewFile(uintptr(fds[0]), "log"), os.NewFile(uintptr(fds[1]), "log")
	return nil
}

func findProgram(name, search string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(search) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("logger %s is not in PATH (%s)", name, search)
}

// close takes the pipe away: the logger reads to its end and exits.
func (l *logger) close() {
	for _, f := range []*os.File{l.read, l.write} {
		// A pipe's close has no result that matters.
		_ = f.Close()
	}
}
