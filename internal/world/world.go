// Package world holds what a program's Main takes from outside: arguments,
// environment, standard files, the qmail home directory and the clock. A test
// can so run any program in-process or with another clock.
//
// Rooms and cmd may import it.
//
// It also holds where the programs begin, before Go does. Run scripts for qmail
// bound the memory of its programs by soft limits: "softlimit -m 3000000
// qmail-inject". Those count address space, of which Go reserves 700 MB that it
// never uses; its runtime would give up before main. So a program first raises its
// soft limits of address space (RLIMIT_AS) and data (RLIMIT_DATA) to the hard
// ones, and what it starts inherits that. With hard limits in which no Go program
// can run it says so, and ends with 111. The linker is told to begin there (-E
// _postrider_entry, in the Makefile), on amd64 and arm64; elsewhere, and in tests,
// programs begin as Go has it.
//
// world.go has the parts; stdin.go tells a standard file that is none;
// entry_*.s are the beginning.
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
