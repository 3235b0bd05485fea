package offspring

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// rounds bounds how often is looked for what a family starts while it is being
// ended. Each finds what those have started that the one before has not found.
const rounds = 100

// Kill ends the family. The caller has not waited for its leader yet, whose
// number so is still its own.
func (f Family) Kill() {
	if f.leader <= 0 {
		return // none was started; 0 would be our own group
	}
	for _, whom := range []int{f.leader, -f.leader} {
		_ = unix.Kill(whom, unix.SIGKILL) // it may have ended by itself
	}
	if f.mark == 0 {
		return
	}
	// What is stopped starts nothing: when all are, none is left over.
	f.signal(unix.SIGSTOP)
	f.signal(unix.SIGKILL)
}

// signal sends a signal to each of the family, until a round finds nobody new.
// This process, which bears the last mark itself, is none of them.
func (f Family) signal(s unix.Signal) {
	sent := map[int]bool{os.Getpid(): true}
	for range rounds {
		names, err := processes()
		if err != nil {
			return // without /proc there is the group
		}
		before := len(sent)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err == nil && !sent[pid] && f.has(pid) {
				sent[pid] = true
				_ = unix.Kill(pid, s) // it may have ended by itself
			}
		}
		if len(sent) == before {
			return
		}
	}
}

// processes are the names in /proc. Even where that hides processes of other
// users (hidepid), it shows one's own.
func processes() ([]string, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
