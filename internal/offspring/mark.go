package offspring

import (
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Family is a program and all that it has started.
type Family struct {
	leader int    // of the process group; its number
	mark   uint64 // 0 if there is none
}

// marks are those of this process, since the limit is: the last one that was
// given to a program.
var marks struct {
	sync.Mutex
	last uint64
	none bool // the limit is somebody else's
}

const (
	// firstMarks, in microseconds, are 73,000 years: no limit that anybody would
	// notice, or would have set.
	firstMarks = 1 << 61
	// room is for how many programs a process draws marks at once.
	room = 1 << 30
)

// startLimit is how long a start may take. It waits for the exec of its child,
// which may have been stopped by somebody; and if it fails late, for the end of
// the program.
const startLimit = 10 * time.Second

// Start calls start, which starts a program as the leader of a process group
// and returns its number.
func Start(start func() (leader int, err error)) (Family, error) {
	return startWithin(startLimit, start)
}

func startWithin(limit time.Duration, start func() (leader int, err error)) (Family, error) {
	marks.Lock()
	defer marks.Unlock()
	mark := nextMark()
	if mark != 0 {
		defer time.AfterFunc(limit, kin{mark: true}.end).Stop()
	}
	leader, err := start()
	return Family{leader, mark}, err
}

// nextMark changes the limit of this process, which what it starts inherits.
func nextMark() uint64 {
	if marks.none {
		return 0
	}
	next := marks.last - 1
	if marks.last == 0 {
		var own unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_RTTIME, &own) != nil || own.Max != unix.RLIM_INFINITY {
			marks.none = true
			return 0
		}
		// Other processes of the same user have marks of their own.
		next = firstMarks + rand.Uint64N(firstMarks/room)*room + room - 1
	}
	if unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: next, Max: next}) != nil {
		marks.none = true
		return 0
	}
	marks.last = next
	return next
}

// markOf returns what a process carries. Limits of other users' processes cannot
// be read: 0.
func markOf(pid int) uint64 {
	var limit unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit) != nil {
		return 0
	}
	return limit.Max
}

func (f Family) kin() kin { return kin{f.mark: true} }
