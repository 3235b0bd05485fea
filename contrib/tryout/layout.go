package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// layout is the tree below ./run.
type layout struct {
	dir       string
	separated bool
}

// Users who get mail. Their ids are free on any machine that has fewer than
// ten thousand accounts, and only the namespace knows them.
var people = []struct {
	name string
	id   int
}{{"alice", 20001}, {"bob", 20002}}

// home is the qmail home directory as this process sees it.
func (l layout) home() string { return filepath.Join(l.dir, "var/qmail") }

// prefix is the qmail home directory as the server sees it.
func (l layout) prefix() string {
	if l.separated {
		return "/var/qmail"
	}
	return l.home()
}

// prepare builds the suite and brings ./run into the state that it needs. What
// is there already, mail included, stays.
func (l layout) prepare() error {
	if err := l.checkOwner(); err != nil {
		return err
	}
	build := filepath.Join(l.dir, "build")
	fmt.Println("Building ...")
	if err := command("make", "--no-print-directory", "BUILD="+build, "PREFIX="+l.prefix()); err != nil {
		return err
	}
	steps := []func() error{l.makeEtc, l.makePeople}
	if !l.separated {
		steps = []func() error{l.makePeople}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	setup := []string{"-h", hostname}
	if l.separated {
		setup = append(setup, "-d", l.dir)
	}
	if err := command(filepath.Join(build, "qmail-setup"), append(setup, "-i", build)...); err != nil {
		return err
	}
	if err := command(filepath.Join(build, "qmail-setup"), setup...); err != nil {
		return err
	}
	return errors.Join(l.configure(), l.writeSendmail())
}

// checkOwner refuses a tree that another user began.
func (l layout) checkOwner() error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	for _, path := range []string{l.dir, l.home()} {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() {
			return fmt.Errorf("%s belongs to uid %d: remove ./run first", path, owner)
		}
	}
	return nil
}

// makeEtc writes the /etc of the small world: users of its own, the machine's
// way to ask DNS.
func (l layout) makeEtc() error {
	etc := filepath.Join(l.dir, "etc")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	passwd := "root:*:0:0::/root:/bin/sh\nnobody:*:65534:65534::/nonexistent:/bin/false\n"
	group := "root:x:0:\nnogroup:x:65534:\n"
	for _, p := range people {
		passwd += fmt.Sprintf("%s:*:%d:%d::/home/%s:/bin/sh\n", p.name, p.id, p.id, p.name)
		group += fmt.Sprintf("%s:x:%d:\n", p.name, p.id)
	}
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := writeNew(filepath.Join(etc, name), text); err != nil {
			return err
		}
	}
	for _, name := range []string{"resolv.conf", "hosts", "localtime"} {
		text, err := os.ReadFile(filepath.Join("/etc", name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(etc, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makePeople makes homes with Maildirs.
func (l layout) makePeople() error {
	if err := os.MkdirAll(filepath.Join(l.dir, "home"), 0o755); err != nil {
		return err
	}
	for _, p := range people {
		home := filepath.Join(l.dir, "home", p.name)
		for _, dir := range []string{"", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"} {
			path := filepath.Join(home, dir)
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
			if !l.separated {
				continue
			}
			if err := os.Lchown(path, p.id, p.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// configure writes the control files of the try-out. In a private installation
// the people are not accounts of the machine, so that users/assign names them.
func (l layout) configure() error {
	if err := writeNew(filepath.Join(l.home(), "control/smtplisten"), smtpAddr+"\n"); err != nil {
		return err
	}
	if l.separated {
		return nil
	}
	assign := ""
	for _, p := range people {
		home := filepath.Join(l.dir, "home", p.name)
		identity := fmt.Sprintf("%s:%d:%d:%s", p.name, os.Getuid(), os.Getgid(), home)
		assign += fmt.Sprintf("=%s:%s:::\n+%s-:%s:-::\n", p.name, identity, p.name, identity)
	}
	alias := fmt.Sprintf("+:alias:%d:%d:%s:-::\n", os.Getuid(), os.Getgid(), filepath.Join(l.home(), "alias"))
	if err := os.WriteFile(filepath.Join(l.home(), "users/assign"), []byte(assign+alias+".\n"), 0o644); err != nil {
		return err
	}
	return command(filepath.Join(l.home(), "bin/qmail-newu"))
}

// writeSendmail writes ./run/sendmail, which works from any shell.
func (l layout) writeSendmail() error {
	script := fmt.Sprintf("#!/bin/sh\n# sendmail of the server that make run started\nexec env USER=alice '%s/bin/sendmail' \"$@\"\n", l.home())
	if l.separated {
		script = fmt.Sprintf("#!/bin/sh\n# sendmail of the server that make run started, as the user alice\n"+
			"exec nsenter --target \"$(cat '%s')\" --mount --uts --pid --wdns=/ -S %d -G %d env USER=alice /var/qmail/bin/sendmail \"$@\"\n",
			l.pidFile(), people[0].id, people[0].id)
	}
	return os.WriteFile(filepath.Join(l.dir, "sendmail"), []byte(script), 0o755)
}

// pidFile holds the process whose namespaces the server lives in.
func (l layout) pidFile() string { return filepath.Join(l.dir, "pid") }

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
