package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"postrider/internal/getopt"
	"postrider/internal/priv"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitUsage  = 100
	exitFailed = 111
)

const usage = "usage: qmail-setup [-d destdir] [-i programs] [-h hostname]\n"

// options are the command line.
type options struct {
	dest     string // in front of all paths
	programs string // only install programs from this directory
	hostname string
}

// Main is the program: qmail-setup [-d destdir] [-i programs] [-h hostname].
func Main(w world.World) int {
	opts, err := parse(w)
	if err != nil {
		fmt.Fprintf(w.Stderr, "%v\n%s", err, usage)
		return exitUsage
	}
	if err := run(w, opts); err != nil {
		fmt.Fprintf(w.Stderr, "qmail-setup: fatal: %v\n", err)
		return exitFailed
	}
	return 0
}

func parse(w world.World) (options, error) {
	var o options
	opts, rest, err := getopt.Parse(w.Args[1:], "d:i:h:")
	if err != nil {
		return o, fmt.Errorf("qmail-setup: %w", err)
	}
	for _, opt := range opts {
		switch opt.Letter {
		case 'd':
			o.dest = opt.Value
		case 'i':
			o.programs = opt.Value
		case 'h':
			o.hostname = opt.Value
		}
	}
	if len(rest) > 0 {
		return o, fmt.Errorf("qmail-setup: unexpected argument %s", rest[0])
	}
	if o.hostname == "" {
		if o.hostname, err = os.Hostname(); err != nil {
			return o, err
		}
	}
	return o, nil
}

func run(w world.World, o options) error {
	syscall.Umask(0o022)
	s := &site{home: filepath.Join(o.dest, w.Home), say: sayer(w.Stdout)}
	private, err := isPrivate(s.home)
	if err != nil {
		return err
	}
	if o.programs != "" {
		return s.installOnly(o.programs)
	}
	if !private {
		if err := s.accounts(o.dest, w.Home); err != nil {
			return err
		}
	}
	_, err = os.Stat(filepath.Join(s.home, "alias"))
	newAlias := errors.Is(err, os.ErrNotExist)
	if err := s.layOut(priv.Tree()); err != nil {
		return err
	}
	if err := s.ownPrograms(); err != nil {
		return err
	}
	return s.configure(o.hostname, newAlias)
}

// sayer returns what tells the administrator what was done.
func sayer(out io.Writer) func(string) {
	return func(line string) { fmt.Fprintf(out, "qmail-setup: %s\n", line) }
}

// isPrivate says whether the installation is that of an ordinary user, who
// then must be the one who runs this.
func isPrivate(home string) (bool, error) {
	euid := os.Geteuid()
	info, err := os.Stat(home)
	if errors.Is(err, os.ErrNotExist) {
		return euid != 0, nil
	}
	if err != nil {
		return false, err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != euid {
		return false, fmt.Errorf("%s belongs to uid %d: run this as that user", home, owner)
	}
	return euid != 0, nil
}

// installOnly puts programs in place, without accounts: a package does so.
func (s *site) installOnly(from string) error {
	for _, dir := range []string{s.home, filepath.Join(s.home, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return s.install(from)
}

// accounts makes users and groups in the etc below dest. Without one, a
// package is being made: owners are set when this runs on the host.
func (s *site) accounts(dest, home string) error {
	etc := filepath.Join(dest, "/etc")
	if _, err := os.Stat(filepath.Join(etc, "passwd")); errors.Is(err, os.ErrNotExist) {
		s.say(etc + " has no passwd: nobody is made owner of anything; run this again on the host")
		return nil
	}
	unlock, err := lockAccounts(etc)
	if err != nil {
		return err
	}
	defer unlock()
	files := make(map[string]*colonFile)
	before := make(map[string]string)
	for _, name := range []string{"passwd", "group"} {
		text, err := os.ReadFile(filepath.Join(etc, name))
		if err != nil {
			return err
		}
		before[name], files[name] = string(text), parseColonFile(string(text))
	}
	passwd, group := files["passwd"], files["group"]
	groupsDone, err := addGroups(group, passwd)
	if err != nil {
		return err
	}
	usersDone, err := addUsers(passwd, group, home, noShell(dest))
	if err != nil {
		return err
	}
	for _, name := range []string{"group", "passwd"} {
		if text := files[name].String(); text != before[name] {
			if err := replace(filepath.Join(etc, name), text); err != nil {
				return err
			}
		}
	}
	for _, line := range append(groupsDone, usersDone...) {
		s.say(line)
	}
	owners := numbers(passwd, group)
	s.owners = &owners
	return nil
}

// noShell returns a shell that lets nobody in.
func noShell(dest string) string {
	for _, path := range []string{"/usr/sbin/nologin", "/sbin/nologin"} {
		if _, err := os.Stat(filepath.Join(dest, path)); err == nil {
			return path
		}
	}
	return "/bin/false"
}
