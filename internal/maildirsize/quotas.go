package maildirsize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fileName   = "maildirsize"
	folderMark = "maildirfolder"
	// From these on the sums are made again.
	largeFile = 5120
	oldFile   = 15 * time.Minute
)

// ErrFull says that there is no room for a message.
var ErrFull = errors.New("the quota is reached")

// Quotas is what the deliveries of one process share: what they are about to
// add.
type Quotas struct {
	now     func() time.Time
	mu      sync.Mutex
	pending map[boxID]Count
}

// boxID tells mailboxes apart.
type boxID struct{ dev, ino uint64 }

// NewQuotas returns the Quotas of this process.
func NewQuotas(now func() time.Time) *Quotas {
	return &Quotas{now: now, pending: make(map[boxID]Count)}
}

// Room is room for one message in a mailbox with a quota. It ends with Taken
// or Return.
type Room struct {
	// Name is the Maildir that has the quota, as Reserve would be told it, and
	// Box is it, open.
	Name string
	Box  int
	// Percent is how much of the quota is taken with the message.
	Percent int

	quotas *Quotas
	id     boxID
	wanted Count
}

// Limit is the quota of a mailbox for which it is kept elsewhere. The zero Limit
// is what the mailbox's own file says.
type Limit struct {
	// Line is the first line that the file is to have.
	Line string
	// None says that there is no limit, whatever the file says.
	None bool
}

// Or returns the quota that counts for a mailbox whose file says another.
func (l Limit) Or(file Count) (Count, error) {
	switch {
	case l.None:
		return Count{}, nil
	case l.Line == "":
		return file, nil
	}
	return parseQuota(l.Line)
}

// Reserve takes room for a message of some bytes in the Maildir at name, which
// is relative to the open directory dir. Without a quota there is neither an
// error nor a Room. Where the limit is kept elsewhere, a file that says another
// one is made again.
func (q *Quotas) Reserve(dir int, name string, bytes int64, limit Limit) (*Room, error) {
	name = boxOf(dir, name)
	if limit.Line == "" {
		fd, err := openIn(dir, name+"/"+fileName, unix.O_RDONLY)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		_ = unix.Close(fd) // it is read once the mailbox is ours
	}
	box, err := openIn(dir, name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	room, err := q.reserve(box, Count{bytes, 1}, limit)
	if room == nil {
		_ = unix.Close(box) // nothing was written to it
		return nil, err
	}
	room.Name = name
	return room, nil
}

// boxOf returns the Maildir whose quota counts for the one at name.
func boxOf(dir int, name string) string {
	name = strings.TrimRight(name, "/")
	last := path.Base(name)
	if !strings.HasPrefix(last, ".") || last == "." || last == ".." {
		return name
	}
	var st unix.Stat_t
	if unix.Fstatat(dir, name+"/"+folderMark, &st, 0) != nil {
		return name
	}
	return name + "/.."
}

func (q *Quotas) reserve(box int, wanted Count, limit Limit) (*Room, error) {
	var st unix.Stat_t
	if err := unix.Fstat(box, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	id := boxID{uint64(st.Dev), st.Ino}
	q.mu.Lock()
	defer q.mu.Unlock()
	sums, known, err := q.sumsWithin(box, limit)
	if err != nil || !known {
		return nil, err
	}
	with := func() Count { return sums.holds.plus(q.pending[id]).plus(wanted) }
	if sums.broken || sums.size >= largeFile || with().Exceeds(sums.quota) && !sums.fresh(q.now()) {
		if sums.holds, err = renew(box, sums.quotaLine, q.now()); err != nil {
			return nil, err
		}
	}
	after := with()
	if after.Exceeds(sums.quota) {
		return nil, ErrFull
	}
	q.pending[id] = q.pending[id].plus(wanted)
	return &Room{Box: box, Percent: after.percentOf(sums.quota), quotas: q, id: id, wanted: wanted}, nil
}

// sumsWithin returns what the file of a mailbox says once that has the quota that
// limit says.
func (q *Quotas) sumsWithin(box int, limit Limit) (s sums, known bool, err error) {
	if s, known, err = readSums(box); err != nil {
		return s, false, err
	}
	quota, err := limit.Or(s.quota)
	switch {
	case err != nil:
		return s, false, err
	case limit.Line == "", known && s.quota == quota:
		s.quota = quota
		return s, known, nil
	}
	now := q.now()
	s = sums{quotaLine: limit.Line, quota: quota, lines: 2, changed: now}
	s.holds, err = renew(box, limit.Line, now)
	return s, err == nil, err
}

// Taken writes down that the message is in the mailbox.
func (r *Room) Taken() {
	// Should it fail, the sums are too small until they are made again: no
	// reason to deliver the message once more.
	_ = r.Add(r.wanted.Bytes)
	r.Return()
}

// Add writes down one more message, for which no room was reserved.
func (r *Room) Add(bytes int64) error { return appendLine(r.Box, Count{bytes, 1}) }

// Return gives the room back.
func (r *Room) Return() {
	r.quotas.mu.Lock()
	defer r.quotas.mu.Unlock()
	left := r.quotas.pending[r.id].plus(Count{-r.wanted.Bytes, -r.wanted.Messages})
	if left == (Count{}) {
		delete(r.quotas.pending, r.id)
	} else {
		r.quotas.pending[r.id] = left
	}
	_ = unix.Close(r.Box) // a directory: its close has no result that matters
}

// sums is what a file says.
type sums struct {
	quotaLine string
	quota     Count
	holds     Count
	broken    bool // the lines behind the first are not of the form
	size      int64
	lines     int
	changed   time.Time
}

// fresh reports whether a file is believed that says that the mailbox is full.
func (s sums) fresh(now time.Time) bool {
	return s.lines <= 2 && now.Sub(s.changed) < oldFile
}

// readSums reads the file of a mailbox. One that tells no quota is as good as
// none.
func readSums(box int) (s sums, known bool, err error) {
	fd, err := openIn(box, fileName, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	f := os.NewFile(uintptr(fd), fileName)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s, false, err
	}
	if !info.Mode().IsRegular() {
		return s, false, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return s, false, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	s = sums{quotaLine: first, size: int64(len(text)), lines: strings.Count(string(text), "\n"), changed: info.ModTime()}
	if s.quota, err = parseQuota(strings.TrimSpace(first)); err != nil || len(first) >= largeFile {
		return s, false, nil
	}
	if _, s.holds, err = Parse(string(text)); err != nil {
		s.broken = true
	}
	return s, true, nil
}

// appendLine adds a line to the file in one write, as all programs do.
func appendLine(box int, c Count) error {
	fd, err := openIn(box, fileName, unix.O_WRONLY|unix.O_APPEND)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), fileName)
	_, err = fmt.Fprintf(f, "%d %d\n", c.Bytes, c.Messages)
	return errors.Join(err, f.Close())
}

// openIn opens a name below a directory of the user's: nothing that waits, and
// no link as its last part.
func openIn(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}
