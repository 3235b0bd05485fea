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
		if p, found := processAt(name); found && p.session == session {
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

// processStat is what /proc says of a process.
type processStat struct {
	state           string
	parent, session int
}

// processAt reads the words behind a process's name, which is the user's and
// may hold anything but is followed by the last ")".
func processAt(pid string) (p processStat, found bool) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return p, false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 4 {
		return p, false
	}
	p.state = fields[0]
	var parentErr, sessionErr error
	p.parent, parentErr = strconv.Atoi(fields[1])
	p.session, sessionErr = strconv.Atoi(fields[3])
	return p, parentErr == nil && sessionErr == nil
}
