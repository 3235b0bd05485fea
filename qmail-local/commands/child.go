package commands

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
	"postrider/internal/world"
)

// Exit codes of a program in a .qmail file.
const (
	exitDone  = 0
	exitStop  = 99 // done, and no later line counts
	exitNever = 100
	exitLater = 111
)

// fail says why a program gives up, and returns its exit code.
func fail(w world.World, program string, code int, why string) int {
	// If nobody reads it, nobody can be told.
	_, _ = io.WriteString(w.Stderr, program+": fatal: "+why+"\n")
	return code
}

func usage(w world.World, text string) int {
	_, _ = io.WriteString(w.Stderr, "usage: "+text+"\n")
	return exitNever
}

// exitOf is the code that an error stands for: one of this machine may pass.
func exitOf(err error) int {
	if fate.IsTemporaryErrno(err) {
		return exitLater
	}
	return exitNever
}

// start starts the program that argv names, in place of this one's files.
func start(w world.World, argv []string, stdin *os.File) (*os.Process, error) {
	path, err := lookPath(w, argv[0])
	if err != nil {
		return nil, err
	}
	return os.StartProcess(path, argv, &os.ProcAttr{Env: w.Environ, Files: []*os.File{stdin, w.Stdout, w.Stderr}})
}

// lookPath finds a program as execvp(3) does. Package os/exec is too much for
// programs that start as often as these.
func lookPath(w world.World, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	dirs, set := w.Getenv("PATH")
	if !set {
		dirs = "/bin:/usr/bin"
	}
	var found error = syscall.ENOENT
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		path := dir + "/" + name
		err := unix.Access(path, unix.X_OK)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR) {
			found = err
		}
	}
	return "", &os.PathError{Op: "run", Path: name, Err: found}
}

// wait returns the exit code of a program, or crashed.
func wait(p *os.Process) (code int, crashed bool, err error) {
	state, err := p.Wait()
	if err != nil {
		return 0, false, err
	}
	return state.ExitCode(), !state.Exited(), nil
}
