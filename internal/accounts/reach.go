package accounts

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// What may not have come back before nobody looks there any more: in one
	// home, which its user may have made hang; beside it, in the same
	// directory, which is what a server holds; and anywhere, since each holds
	// a thread.
	maxHungHome   = 4
	maxHungBeside = 32
	maxHung       = 128
)

var (
	errSlow = errors.New("home directory does not answer in time")
	errHung = errors.New("home directory is on a file system that does not answer")
)

// Reach keeps looks at home directories from being waited for. One that does
// not come back, because a file server is away, cannot be called off: it holds a
// thread, of which there are few.
type Reach struct {
	patience time.Duration

	mu   sync.Mutex
	hung map[string]int // by home, and by the directory that it is in
	all  int
}

// NewReach returns one that waits so long for a look.
func NewReach(patience time.Duration) *Reach {
	return &Reach{patience: patience, hung: make(map[string]int)}
}

// Within returns what look finds in a home, or an error once that took too
// long. look then goes on, and what it finds is forgotten.
func Within[T any](r *Reach, home string, look func() (T, error)) (T, error) {
	type found struct {
		value T
		err   error
	}
	var none T
	beside := filepath.Dir(home)
	if !r.mayLook(home, beside) {
		return none, errHung
	}
	done := make(chan found, 1)
	late := make(chan bool, 1) // whether somebody has counted it as hung
	go func() {
		value, err := look()
		done <- found{value, err}
		if <-late {
			r.count(home, beside, -1)
		}
	}()
	timer := time.NewTimer(r.patience)
	defer timer.Stop()
	select {
	case f := <-done:
		late <- false
		return f.value, f.err
	case <-timer.C:
		r.count(home, beside, 1)
		late <- true
		return none, errSlow
	}
}

func (r *Reach) mayLook(home, beside string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hung[home] < maxHungHome && r.hung[beside] < maxHungBeside && r.all < maxHung
}

func (r *Reach) count(home, beside string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all += n
	for _, dir := range []string{home, beside} {
		if r.hung[dir] += n; r.hung[dir] == 0 {
			delete(r.hung, dir)
		}
	}
}

// Stat is stat(2) of a home directory within reach.
func (r *Reach) Stat(home string, st *unix.Stat_t) error {
	found, err := Within(r, home, func() (unix.Stat_t, error) {
		var st unix.Stat_t
		return st, unix.Stat(home, &st)
	})
	*st = found
	return err
}
