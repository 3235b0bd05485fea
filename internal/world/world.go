// Package world holds what a program's Main takes from outside: arguments,
// environment, standard files, the qmail home directory and the clock. A test
// can so run any program in-process or with another clock.
//
// Rooms and cmd may import it.
//
// world.go has the parts; stdin.go tells a standard file that is none.
package world

import (
	"os"
	"strings"

	"postrider/internal/clock"
	"postrider/internal/qmailhome"
)

// World is the outside of one program.
type World struct {
	Args    []string // Args[0] is the name the program was called by; never empty
	Environ []string // NAME=value
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File
	Home    string // the qmail home directory, absolute
	// Control is where the control files are, if it is not Home/control: for who
	// tries a change.
	Control string
	Clock   clock.Clock
}

// ControlDir is where the control files are.
func (w World) ControlDir() string {
	if w.Control != "" {
		return w.Control
	}
	return w.Home + "/control"
}

// Real returns the world of the running process.
func Real() World {
	args := os.Args
	if len(args) == 0 {
		args = []string{"?"} // execve allows an empty argv
	}
	return World{
		Args:    args,
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Home:    qmailhome.Dir,
		Clock:   clock.Real(),
	}
}

// Getenv returns the value of the first environment entry called name, and
// whether there is one.
func (w World) Getenv(name string) (string, bool) {
	for _, entry := range w.Environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value, true
		}
	}
	return "", false
}
