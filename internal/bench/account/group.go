package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the name of every group that a benchmark makes; the number of
// its process follows.
const prefix = "postrider-bench-"

// Group is a control group.
type Group struct {
	dir     string
	unified bool // version 2
}

// New makes an empty group for this process. It first removes groups of
// benchmarks that were killed.
func New() (*Group, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	parent, unified, err := hierarchy(string(mounts))
	if err != nil {
		return nil, err
	}
	removeStale(parent)
	g := &Group{filepath.Join(parent, prefix+strconv.Itoa(os.Getpid())), unified}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("no control group for accounting: %w; run as root where %s is writable", err, parent)
	}
	return g, nil
}

// hierarchy finds the directory below which processor time is counted.
// Version 1 is taken first: where both are mounted, it has the controller.
func hierarchy(mounts string) (dir string, unified bool, err error) {
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		switch {
		case f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",cpuacct,"):
			return f[1], false, nil
		case f[2] == "cgroup2":
			dir, unified = f[1], true
		}
	}
	if dir == "" {
		err = errors.New("no control groups for accounting: mount cgroup2 on /sys/fs/cgroup")
	}
	return dir, unified, err
}

// removeStale removes the groups whose benchmark is gone. A group with
// processes in it cannot be removed, so nothing is hurt.
func removeStale(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), prefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = syscall.Rmdir(dir)
		}
	}
}

// Procs is the file into which a process writes 0 to join the group.
func (g *Group) Procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// PIDs returns the processes of the group, as this process numbers them.
func (g *Group) PIDs() ([]int, error) {
	text, err := os.ReadFile(g.Procs())
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Procs(), err)
		}
		if pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// CPU returns the processor time that processes have used while in the group.
func (g *Group) CPU() (time.Duration, error) {
	file, key, unit := "cpuacct.usage", "", time.Nanosecond
	if g.unified {
		file, key, unit = "cpu.stat", "usage_usec ", time.Microsecond
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, key); found {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * unit, err
		}
	}
	return 0, fmt.Errorf("%s/%s has no %s", g.dir, file, key)
}

// Remove removes the group once its processes are gone.
func (g *Group) Remove() error {
	var err error
	for range 100 {
		if err = syscall.Rmdir(g.dir); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove %s: %w", g.dir, err)
}
