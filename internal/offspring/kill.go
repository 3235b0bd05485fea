package offspring

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// endTime is how long is looked, at a time, for what a family starts while it
	// is being ended.
	endTime = 5 * time.Second
	// quietPasses are how many passes in a row find nobody who can start something
	// before that is believed: one may be overlooked that is started while its
	// parent ends.
	quietPasses = 2
)

// Kill ends the family. The caller has not waited for its leader yet, whose
// number so is still its own. What escapes is for Rest.
func (f Family) Kill() {
	if f.leader <= 0 {
		return // none was started; 0 would be our own group
	}
	for _, whom := range []int{f.leader, -f.leader} {
		_ = unix.Kill(whom, unix.SIGKILL) // it may have ended by itself
	}
	if f.mark != 0 {
		f.kin().end()
	}
}

// kin are the processes that carry one of these marks.
type kin map[uint64]bool

// end ends them all. What cannot start anything any more, and is stopped, still
// takes the places that its user has for processes: so the others have to stand
// still before they are found, however fast they are.
func (k kin) end() {
	until := time.Now().Add(endTime)
	for quiet := 0; quiet < quietPasses && time.Now().Before(until); quiet++ {
		if k.freeze() > 0 {
			quiet = -1
		}
	}
	for _, pid := range k.find() {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
	}
}

// freeze keeps each from starting others, for good, and stops it. It returns how
// many could do so before.
func (k kin) freeze() (found int) {
	for _, pid := range k.find() {
		var had unix.Rlimit
		if unix.Prlimit(pid, unix.RLIMIT_NPROC, new(unix.Rlimit), &had) == nil && had.Max > 0 {
			found++
		}
		_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended by itself
	}
	return found
}

// live tells whether one of them has not ended. Those for whom nobody waits have.
func (k kin) live() bool {
	return slices.ContainsFunc(k.find(), func(pid int) bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err == nil && !strings.Contains(string(stat), ") Z ")
	})
}

// find returns their numbers, the latest first: that is who starts others. This
// process, which bears the last mark itself, is none of them.
func (k kin) find() (found []int) {
	names, err := processes()
	if err != nil {
		return nil // without /proc there is the group
	}
	own := os.Getpid()
	for _, name := range slices.Backward(names) {
		if pid, err := strconv.Atoi(name); err == nil && pid != own && k[markOf(pid)] {
			found = append(found, pid)
		}
	}
	return found
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
