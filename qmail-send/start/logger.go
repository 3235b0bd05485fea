package start

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/world"
)

// logger is the log program of the command line. Both ends of its pipe stay
// open here, so that the daemons' log lines wait while it is started again.
type logger struct {
	name           string // of the program that the command line names
	behind         string // its path
	path           string // of what is started: that, or qmail-logjson
	args           []string
	read, write    *os.File
	stdout, stderr *os.File
}

// hasLogger reports whether lines go to a program.
func (set settings) hasLogger() bool { return len(set.logger) > 0 || set.logsJSON }

// findLogger finds the program as execvp does, by the caller's PATH. If lines are
// wanted as JSON, qmail-logjson stands in front of it, or alone if there is none.
// It has no pipe yet.
func findLogger(w world.World, set settings) (*logger, error) {
	l := &logger{stdout: w.Stdout, stderr: w.Stderr}
	if len(set.logger) > 0 {
		search, _ := w.Getenv("PATH")
		var err error
		if l.path, err = findProgram(set.logger[0], search); err != nil {
			return nil, err
		}
		l.name, l.args, l.behind = set.logger[0], set.logger, l.path
	}
	if set.logsJSON {
		l.inJSON(filepath.Join(w.Home, "bin/qmail-logjson"))
	}
	return l, nil
}

// inJSON puts qmail-logjson in front, which has no PATH to find the logger by.
func (l *logger) inJSON(path string) {
	args := []string{"qmail-logjson"}
	if l.path == "" {
		l.name, l.behind = args[0], path
	} else {
		args = append(append(args, l.path), l.args[1:]...)
	}
	l.path, l.args = path, args
}

// newLogger returns a logger with a pipe.
func newLogger(w world.World, set settings) (*logger, error) {
	l, err := findLogger(w, set)
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

// logsJSON reads control/logformat: qmail's lines, or json.
func logsJSON(dir control.Dir) (bool, error) {
	format, err := dir.Line("logformat", "qmail")
	if err == nil && format != "qmail" && format != "json" {
		err = fmt.Errorf("%s/logformat: %q is neither qmail nor json", dir, format)
	}
	return format == "json", err
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
