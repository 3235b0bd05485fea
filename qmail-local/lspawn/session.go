package lspawn

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// killSession kills every process of a session: the programs that a worker
// runs have process groups of their own. A program that made itself a session
// has taken leave of the delivery and stays.
func killSession(session int) {
	names, err := procNames()
	if err != nil {
		return // the worker itself is dead already
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == session {
			continue
		}
		if sessionOf(name) == session {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
	}
}

func procNames() ([]string, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// sessionOf reads the session of a process: the fourth word behind its name,
// which is the user's and may hold anything but is followed by the last ")".
func sessionOf(pid string) int {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return -1
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 4 {
		return -1
	}
	session, err := strconv.Atoi(fields[3])
	if err != nil {
		return -1
	}
	return session
}
