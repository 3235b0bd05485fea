package testhost

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// children starts processes in a host's init and reaps everything that ends
// there: what the test started and what lost its parent.
type children struct {
	mu     sync.Mutex
	gone   sync.Cond // no process is left
	left   bool      // there may be one
	ended  map[int]func(syscall.WaitStatus)
	single bool // only one user is mapped: identities cannot be changed
}

func newChildren(singleUser bool) *children {
	c := &children{ended: make(map[int]func(syscall.WaitStatus)), single: singleUser}
	c.gone.L = &c.mu
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	go func() {
		for range died {
			c.reap()
		}
	}()
	return c
}

// reap holds the lock over the wait, and start holds it over the fork, so a
// process cannot end unnoticed between its fork and its entry in the table.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.ECHILD {
			c.left = false
			c.gone.Broadcast()
		}
		if err != nil || pid <= 0 {
			return
		}
		if report := c.ended[pid]; report != nil {
			delete(c.ended, pid)
			report(status)
		}
	}
}

// killAll kills every process of the host and returns when none is left: all
// of them are, or become, children of init.
func (c *children) killAll() error {
	if err := syscall.Kill(-1, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left {
		c.gone.Wait()
	}
	return nil
}

// start runs a program as a user of the host. The process is the leader of a
// session of its own, so that it can be signalled as a group.
func (c *children) start(req *startRequest, files []*os.File, started func(pid int), ended func(syscall.WaitStatus)) error {
	user, err := lookupUser(req.User)
	if err != nil {
		return err
	}
	env := append([]string{
		"PATH=" + commandPath, "LC_ALL=C", "TMPDIR=/tmp",
		"HOME=" + user.home, "USER=" + user.name, "LOGNAME=" + user.name,
	}, req.Env...)
	program, err := findProgram(req.Argv, env)
	if err != nil {
		return err
	}
	attr := &syscall.ProcAttr{Dir: req.Dir, Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	if attr.Dir == "" {
		attr.Dir = "/"
	}
	if !c.single {
		attr.Sys.Credential = &syscall.Credential{Uid: user.uid, Gid: user.gid, Groups: user.groups}
	} else if user.uid != 0 {
		return errors.New("only one user is mapped here")
	}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(program, req.Argv, attr)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	started(pid)
	c.left = true
	c.ended[pid] = ended
	return nil
}

// commandPath is the PATH of commands that a test runs in a host.
const commandPath = "/var/qmail/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// findProgram looks a command up in the last PATH of env.
func findProgram(argv, env []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("no command")
	}
	if strings.Contains(argv[0], "/") {
		return argv[0], nil
	}
	path := ""
	for _, entry := range env {
		if value, found := strings.CutPrefix(entry, "PATH="); found {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, argv[0])
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not found in %s", argv[0], path)
}
