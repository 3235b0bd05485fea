package filter

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// watched is what control files say, read again when one of them changes.
type watched[T any] struct {
	files []string // their paths
	load  func() (T, error)

	mu    sync.Mutex
	read  bool
	seen  []fileState
	value T
	err   error
}

// fileState is all zero for a file that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// get returns what the files say now. What cannot be read is tried again each
// time.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := make([]fileState, len(w.files))
	for i, path := range w.files {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			now[i] = fileState{st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim}
		}
	}
	if w.read && w.err == nil && slices.Equal(now, w.seen) {
		return w.value, nil
	}
	// Taken before the files are read: a change meanwhile shows next time.
	w.seen, w.read = now, true
	w.value, w.err = w.load()
	return w.value, w.err
}
