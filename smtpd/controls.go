package smtpd

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// recheck is how long the control files are not looked at again: a change
	// counts for connections after that, however many there are in between.
	recheck = 20 * time.Millisecond
	// settle is how long a file that was just emptied may be one that is being
	// written in place: the old settings stay (R79).
	settle = time.Second
)

// controls keeps the settings as the control files are now.
type controls struct {
	home string

	mu      sync.Mutex
	checked time.Time
	seen    fingerprint
	current *settings
	err     error
	loaded  bool
}

// fingerprint tells whether the control files are what they were.
type fingerprint [len(controlFiles)]fileState

// fileState is all zero for a file that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// get returns the settings. fresh says that they were read just now; the
// error then is new too.
func (c *controls) get(now time.Time) (s *settings, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.checked); c.loaded && age >= 0 && age < recheck {
		return c.current, false, c.err
	}
	c.checked = now
	seen := takeFingerprint(c.home)
	// What could not be read is read again: it may have been the machine's
	// trouble, and not that of the files.
	if c.loaded && c.err == nil && (seen == c.seen || seen.halfWritten(c.seen, now)) {
		return c.current, false, nil
	}
	// Taken before the files are read: a change meanwhile shows next time.
	c.seen, c.loaded = seen, true
	before := c.err
	c.current, c.err = loadSettings(c.home, true)
	fresh = c.err == nil || before == nil || before.Error() != c.err.Error()
	return c.current, fresh, c.err
}

func takeFingerprint(home string) fingerprint {
	var f fingerprint
	for i, name := range controlFiles {
		var st unix.Stat_t
		if unix.Stat(home+"/control/"+name, &st) == nil {
			f[i] = fileState{st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim}
		}
	}
	return f
}

// halfWritten reports whether a file that had something in it was emptied a
// moment ago.
func (f fingerprint) halfWritten(before fingerprint, now time.Time) bool {
	for i, file := range f {
		emptied := file.inode != 0 && file.size == 0 && before[i].size > 0
		if emptied && now.Sub(time.Unix(file.modified.Unix())) < settle {
			return true
		}
	}
	return false
}
