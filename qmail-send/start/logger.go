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
	path           string
	args           []string
	read, write    *os.File
	stdout, stderr *os.File
}

// newLogger finds the program as execvp does, by the caller's PATH. If lines are
// wanted as JSON, qmail-logjson stands in front of it, or alone if there is none.
func newLogger(w world.World, args []string, json bool) (*logger, error) {
	path := ""
	if len(args) > 0 {
		search, _ := w.Getenv("PATH")
		var err error
		if path, err = findProgram(args[0], search); err != nil {
			return nil, err
		}
	}
	if json {
		// It has no PATH to find the logger by.
		front := []string{"qmail-logjson"}
		if path != "" {
			front = append(front, path)
			args = args[1:]
		}
		path, args = filepath.Join(w.Home, "bin/qmail-logjson"), append(front, args...)
	}
	// Not os.Pipe, whose ends do not block: the daemons' writes shall.
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	return &logger{path: path, args: args, read: os.NewFile(uintptr(fds[0]), "log"),
		write: os.NewFile(uintptr(fds[1]), "log"), stdout: w.Stdout, stderr: w.Stderr}, nil
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
