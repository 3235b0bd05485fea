package lookup

import (
	"errors"
	"path/filepath"
	"sync"
	"time"
)

const (
	// homeTime is how long a look at a home directory may take.
	homeTime = 2 * time.Second
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

// reach keeps looks at home directories from being waited for. One that does
// not come back, because a file server is away, cannot be called off.
type reach struct {
	patience time.Duration

	mu   sync.Mutex
	hung map[string]int // by home, and by the directory that it is in
	all  int
}

func newReach(patience time.Duration) *reach {
	return &reach{patience: patience, hung: make(map[string]int)}
}

// within returns what look finds in a home, or an error once that took too
// long. look then goes on, and what it finds is forgotten.
func within[T any](r *reach, home string, look func() (T, error)) (T, error) {
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

func (r *reach) mayLook(home, beside string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hung[home] < maxHungHome && r.hung[beside] < maxHungBeside && r.all < maxHung
}

func (r *reach) count(home, beside string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all += n
	for _, dir := range []string{home, beside} {
		if r.hung[dir] += n; r.hung[dir] == 0 {
			delete(r.hung, dir)
		}
	}
}
