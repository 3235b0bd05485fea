package lspawn

import (
	"iter"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// killSession kills every process of a session: the programs that a worker
// runs have process groups of their own. What is in another session is the
// worker's to end, at the time limit of its program; when the worker itself
// dies, it stays, within the limits of its user.
func killSession(session int) {
	kill := func(pid int) {
		if sid, err := unix.Getsid(pid); err == nil && sid == session && pid != session {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
	}
	names, err := procNames()
	if _, hidden := os.Stat("/proc/1"); err != nil || hidden != nil {
		// /proc does not show processes of other users (hidepid).
		for pid := range numbersSince(session) {
			kill(pid)
		}
		return
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			kill(pid)
		}
	}
}

const (
	// maxPID is the most that Linux has.
	maxPID = 1 << 22
	// fewPIDs are so few that all can be asked about in milliseconds, and so
	// few that they are all used again while a worker lives.
	fewPIDs = 1 << 17
)

// numbersSince yields the numbers of the processes that were started after
// pid, whether they are there or not.
func numbersSince(pid int) iter.Seq[int] {
	most, last := maxPID, maxPID
	if n, found := wordOf("/proc/sys/kernel/pid_max", 0); found {
		most = n
	}
	if n, found := wordOf("/proc/loadavg", 4); found && most > fewPIDs {
		last = n
	}
	if most <= fewPIDs {
		pid, last = 1, most
	}
	if last < pid { // they began again
		last += most
	}
	return func(yield func(int) bool) {
		for n := pid; n <= last; n++ {
			if !yield(n % most) {
				return
			}
		}
	}
}

// wordOf returns one of the words of a file of the kernel's, if it is a number.
func wordOf(path string, which int) (n int, found bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(text))
	if len(words) <= which {
		return 0, false
	}
	n, err = strconv.Atoi(words[which])
	return n, err == nil
}

func procNames() ([]string, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
