package testhost

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ProcessInfo is what the kernel says about a process of a host.
type ProcessInfo struct {
	Name    string // base name of the program file
	PID     int    // as the host numbers it
	Parent  int
	Argv    []string
	UID     [4]int // real, effective, saved, file system
	GID     [4]int
	Groups  []int // supplementary
	Threads []ThreadInfo
	Files   []OpenFile
}

// ThreadInfo is what can differ between the threads of one process.
type ThreadInfo struct {
	TID                                    int
	UID, GID                               [4]int
	Groups                                 []int
	CapInh, CapPrm, CapEff, CapBnd, CapAmb uint64
	NoNewPrivs, Seccomp                    int
}

// OpenFile is an open descriptor.
type OpenFile struct {
	FD     int
	Target string // as readlink of /proc/PID/fd shows it
}

// Processes lists the processes of the host, without its init and without
// those that end while it looks.
func (h *Host) Processes() []ProcessInfo {
	h.t.Helper()
	entries, err := os.ReadDir(h.Path("/proc"))
	if err != nil {
		h.t.Fatal(err)
	}
	var list []ProcessInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		if p, ok := readProcess(h.Path("/proc"), pid); ok {
			list = append(list, p)
		}
	}
	return list
}

// Find returns the processes whose program has this name.
func (h *Host) Find(program string) []ProcessInfo {
	h.t.Helper()
	return slices.DeleteFunc(h.Processes(), func(p ProcessInfo) bool { return p.Name != program })
}

// Kill sends a signal to every process of the program and returns how many
// there were.
func (h *Host) Kill(program string, sig syscall.Signal) int {
	h.t.Helper()
	killed := 0
	for _, p := range h.Find(program) {
		if h.signal(p.PID, sig) == nil {
			killed++
		}
	}
	return killed
}

// Signal sends a signal to one process of the host.
func (h *Host) Signal(pid int, sig syscall.Signal) error { return h.signal(pid, sig) }

// Memory returns what memory a process of the host has (PSS), in bytes, and 0
// for one that has ended.
func (h *Host) Memory(pid int) int64 {
	h.t.Helper()
	text, err := os.ReadFile(h.Path("/proc/" + strconv.Itoa(pid) + "/smaps_rollup"))
	if err != nil || len(text) == 0 {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	field, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kb, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		h.t.Fatalf("memory of process %d: %v in %q", pid, err, text)
	}
	return kb << 10
}

// PeakMemory returns what a process of the host has had in memory at most
// (VmHWM, which pages of its program count in), in bytes, and 0 for one that has
// ended.
func (h *Host) PeakMemory(pid int) int64 {
	h.t.Helper()
	text, err := os.ReadFile(h.Path("/proc/" + strconv.Itoa(pid) + "/status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	field, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kb, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		h.t.Fatalf("peak of process %d: %v in %q", pid, err, text)
	}
	return kb << 10
}

func readProcess(proc string, pid int) (ProcessInfo, bool) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	p := ProcessInfo{PID: pid}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return p, false // ended, or a kernel thread
	}
	p.Name = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	if cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		p.Argv = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	}
	tasks, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		return p, false
	}
	for _, task := range tasks {
		status, err := os.ReadFile(filepath.Join(dir, "task", task.Name(), "status"))
		if err != nil {
			continue
		}
		thread, parent := parseStatus(string(status))
		if thread.TID == pid {
			p.UID, p.GID, p.Groups, p.Parent = thread.UID, thread.GID, thread.Groups, parent
		}
		p.Threads = append(p.Threads, thread)
	}
	p.Files = openFiles(filepath.Join(dir, "fd"))
	return p, len(p.Threads) > 0
}

func openFiles(dir string) []OpenFile {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var files []OpenFile
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			files = append(files, OpenFile{fd, target})
		}
	}
	slices.SortFunc(files, func(a, b OpenFile) int { return a.FD - b.FD })
	return files
}

// parseStatus reads /proc/PID/task/TID/status.
func parseStatus(text string) (t ThreadInfo, parent int) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Pid":
			t.TID = number(value)
		case "PPid":
			parent = number(value)
		case "Uid":
			copy(t.UID[:], numbers(value))
		case "Gid":
			copy(t.GID[:], numbers(value))
		case "Groups":
			t.Groups = numbers(value)
		case "CapInh":
			t.CapInh = capabilities(value)
		case "CapPrm":
			t.CapPrm = capabilities(value)
		case "CapEff":
			t.CapEff = capabilities(value)
		case "CapBnd":
			t.CapBnd = capabilities(value)
		case "CapAmb":
			t.CapAmb = capabilities(value)
		case "NoNewPrivs":
			t.NoNewPrivs = number(value)
		case "Seccomp":
			t.Seccomp = number(value)
		}
	}
	return t, parent
}

// numbers reads decimal numbers; a field of the kernel's that is none is a
// number no process has.
func numbers(text string) []int {
	var list []int
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(field)
		if err != nil {
			n = -1
		}
		list = append(list, n)
	}
	return list
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// capabilities reads a set; what cannot be read is every capability, which no
// test takes for right.
func capabilities(text string) uint64 {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return ^uint64(0)
	}
	return n
}

// OuterPID returns the number that the test knows a process of the host by.
func (h *Host) OuterPID(pid int) int {
	h.t.Helper()
	space, err := os.Readlink("/proc/" + strconv.Itoa(h.init.Process.Pid) + "/ns/pid")
	if err != nil {
		h.t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		outer, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if where, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err != nil || where != space {
			continue
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ := strings.Cut(rest, "\n")
		if all := numbers(line); len(all) > 0 && all[len(all)-1] == pid {
			return outer
		}
	}
	h.t.Fatalf("%s: no process %d", h.Name, pid)
	return 0
}
