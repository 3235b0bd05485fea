package spool

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/control"
)

// A queue that fills its disk stops everything: deliveries cannot be recorded,
// and nothing gets out. So no mail is taken once little is left, and what is
// left is for progress, removals and bounces, which make room.

const (
	// The limits without control files; of a small disk a part (smallPart).
	defaultFree  = 100 << 20
	defaultFiles = 10_000
	smallPart    = 50
	// pressureAge is how old a look at the disk may be.
	pressureAge = 100 * time.Millisecond
	// watchTick is how often it is looked at without anybody who submits, and
	// fullTick how often if no mail is taken.
	watchTick = 10 * time.Second
	fullTick  = time.Second
)

// limits are when no mail is taken; negative: by default, 0: never.
type limits struct {
	free     int64 // queueminfree: bytes of the disk
	files    int64 // queueminfiles: files that could be made
	messages int64 // queuemaxmessages
}

func readLimits(dir control.Dir) (l limits, err error) {
	number := func(n int, readErr error) int64 {
		err = errors.Join(err, readErr)
		return int64(n)
	}
	l.free = number(dir.Int("queueminfree", -1))
	l.files = number(dir.Int("queueminfiles", -1))
	l.messages = number(dir.Int("queuemaxmessages", 0))
	return l, err
}

// left is what a disk has and has left.
type left struct{ free, all, files, allFiles int64 }

func (l left) String() string {
	return fmt.Sprintf("%d of %d MiB, and %d files", l.free>>20, l.all>>20, l.files)
}

// leftOf looks at the file system of a directory.
func leftOf(dir string) func() (left, error) {
	return func() (left, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return left{}, err
		}
		return left{
			free: int64(st.Bavail) * st.Bsize, all: int64(st.Blocks) * st.Bsize, files: int64(st.Ffree), allFiles: int64(st.Files),
		}, nil
	}
}

// pressure says whether mail is taken.
type pressure struct {
	clock    clock.Clock
	limits   limits
	look     func() (left, error)
	messages func() int64
	log      func(string)

	isFull atomic.Bool
	mu     sync.Mutex
	looked time.Time
	change chan struct{} // one place: isFull has changed
}

func newPressure(c clock.Clock, l limits, look func() (left, error), messages func() int64, log func(string)) *pressure {
	return &pressure{clock: c, limits: l, look: look, messages: messages, log: log, change: make(chan struct{}, 1)}
}

// full reports whether no mail is taken; nil never is.
func (p *pressure) full() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if since := now.Sub(p.looked); since < 0 || since >= pressureAge {
		p.looked = now
		p.judge()
	}
	return p.isFull.Load()
}

// judge looks and, if that has changed, says what is short and until when.
func (p *pressure) judge() {
	was := p.isFull.Load()
	why := p.short(was)
	if (why != "") == was {
		return
	}
	p.isFull.Store(!was)
	if was {
		p.log("mail is taken again")
	} else {
		p.log("alert: no mail is taken: " + why)
	}
	select {
	case p.change <- struct{}{}:
	default:
	}
}

// short says what there is too little of. Once no mail is taken an eighth more
// than the limit is wanted, so that it does not come and go.
func (p *pressure) short(was bool) string {
	if n, most := p.messages(), p.limits.messages; most > 0 {
		again := most - most/8
		if n >= most || was && n >= again {
			return fmt.Sprintf("%d messages are queued (control/queuemaxmessages: %d), until there are less than %d", n, most, again)
		}
	}
	have, err := p.look()
	if err != nil {
		return "" // the disk itself will say what it thinks
	}
	if why := scarce(was, have.free, least(p.limits.free, defaultFree, have.all), "bytes", "queueminfree"); why != "" {
		return why
	}
	if have.allFiles == 0 {
		return "" // a file system without a number of files
	}
	return scarce(was, have.files, least(p.limits.files, defaultFiles, have.allFiles), "files", "queueminfiles")
}

// least returns the limit of a disk that has all.
func least(set, def, all int64) int64 {
	if set >= 0 {
		return set
	}
	return min(def, all/smallPart)
}

func scarce(was bool, have, least int64, what, name string) string {
	again := least + least/8
	if have >= again || have >= least && !was {
		return ""
	}
	return fmt.Sprintf("the queue's disk has room for %d %s (control/%s: %d), until it has for %d", have, what, name, least, again)
}

// watch looks from time to time and calls tell when mail is taken or not, and
// at each tick, until stop.
func (p *pressure) watch(stop <-chan struct{}, tell func(full bool)) {
	for {
		tell(p.full())
		wait := watchTick
		if p.isFull.Load() {
			wait = fullTick
		}
		timer := time.NewTimer(wait)
		select {
		case <-stop:
			timer.Stop()
			return
		case <-p.change:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// errFull is the answer to who submits then: qmail-queue's code of a full disk.
var errFull = &refusal{code: exitWrite, text: "the mail queue is full, try again later (#4.3.1)"}
