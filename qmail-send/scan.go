package qmailsend

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"postrider/internal/queuedir"
	"postrider/qmail-send/progress"
)

const (
	// scanStep is how many names of a directory are looked at in one piece; new
	// mail is served between the pieces.
	scanStep = 512
	// scanAgain is how long directories wait that could not be read, and
	// maxScanAlerts of how many of them each is named.
	scanAgain     = 10 * time.Minute
	maxScanAlerts = 5
)

// scanState is what the scheduler knows of the scan that runs in the
// background. A scan hands ids only: whether an entry is committed, and still
// there, is found out before it is used.
type scanState struct {
	running bool
	again   bool // asked for while one runs
	bucket  int  // being read
	// over holds the messages of this bucket that were finished since its
	// reading began: names read before must not bring them back.
	over map[queuedir.ID]bool
	// failed are the buckets that could not be read. When nothing runs they are
	// read again at that time.
	failed  []int
	againAt moment
}

// finished notes that a message left the table.
func (st *scanState) finished(id queuedir.ID) {
	if st.running && id.BucketIndex() == st.bucket {
		st.over[id] = true
	}
}

// found is a name in the queue.
type found struct {
	id      queuedir.ID
	hasInfo bool
	due     time.Time // of a message that has a progress file
}

// Scan has the whole queue looked through.
func (s *scheduler) Scan() {
	if s.scan.running {
		s.scan.again = true
		return
	}
	all := make([]int, queuedir.Buckets)
	for i := range all {
		all[i] = i
	}
	s.scanBuckets(all)
}

// scanBuckets has some buckets looked through, in order.
func (s *scheduler) scanBuckets(buckets []int) {
	s.scan = scanState{running: true, bucket: -1}
	sc := &scanner{layout: s.layout, s: s}
	go sc.run(buckets)
}

// rescan has those looked through that could not be read, when that is due.
func (s *scheduler) rescan(now moment) {
	if s.rescanAt() <= now {
		s.scanBuckets(s.scan.failed)
	}
}

func (s *scheduler) rescanAt() moment {
	if s.scan.running || len(s.scan.failed) == 0 || s.spool == nil || s.exiting {
		return never
	}
	return s.scan.againAt
}

// beginBucket is called before the names of a bucket are read.
func (s *scheduler) beginBucket(bucket int) {
	s.scan.bucket = bucket
	s.scan.over = make(map[queuedir.ID]bool)
}

// scanFailed notes that a bucket cannot be read. Its messages wait; all others
// are worked on.
func (s *scheduler) scanFailed(bucket int, err error) {
	s.scan.failed = append(s.scan.failed, bucket)
	if len(s.scan.failed) <= maxScanAlerts {
		s.logf("alert: unable to scan the queue: %v; what is queued there waits: %s; it is looked at again every %v",
			err, queuedir.DirAdvice, scanAgain)
	}
}

func (s *scheduler) endScan() {
	again, failed := s.scan.again, s.scan.failed
	if n := len(failed) - maxScanAlerts; n > 0 {
		s.logf("alert: unable to scan the queue: %d more directories", n)
	}
	s.scan = scanState{failed: failed, againAt: s.now().Add(scanAgain)}
	if again && !s.exiting {
		s.Scan()
	}
}

// scanned takes messages that are not known yet.
func (s *scheduler) scanned(names []found) {
	for _, f := range names {
		if s.messages[f.id] == nil && !s.scan.over[f.id] && !s.exiting {
			s.takeFound(f)
		}
	}
}

func (s *scheduler) takeFound(f found) {
	m := newMessage(f.id, s.birth(f.id), uncertain)
	s.messages[f.id] = m
	if !f.hasInfo {
		for c := range channels {
			m.due[c] = m.birth
			s.waiting[c].enqueue(m)
		}
		return
	}
	m.flags |= hasInfo | logged | attempted | triedBefore | restored | unsynced
	now := s.clock.Now()
	at := s.line.At(now)
	for c := range channels {
		// Not later than if an attempt were made now: a clock that was wrong
		// when the time was written keeps nothing waiting (R15).
		m.due[c] = min(s.line.FromWall(f.due, now), s.settings.retry.Latest(m.birth, at, c))
		s.waiting[c].put(m)
	}
}

// orphans removes progress files whose message is gone.
func (s *scheduler) orphans(ids []queuedir.ID) {
	for _, id := range ids {
		if s.messages[id] == nil && !s.exiting {
			s.unlinkInfo(id, s.store.UnlinkAll)
		}
	}
}

// scanner reads the directories of the queue. It waits for the scheduler after
// each piece.
type scanner struct {
	layout queuedir.Layout
	s      *scheduler
}

func (sc *scanner) run(buckets []int) {
	for _, bucket := range buckets {
		if !sc.sync(func() { sc.s.beginBucket(bucket) }) {
			return
		}
		if err := sc.bucket(queuedir.BucketName(bucket)); err != nil {
			if !sc.sync(func() { sc.s.scanFailed(bucket, err) }) {
				return
			}
		}
	}
	sc.s.post(sc.s.endScan)
}

// sync runs event in the scheduler and waits until it is done; false says that
// the scheduler has ended.
func (sc *scanner) sync(event func()) bool {
	done := make(chan struct{})
	sc.s.post(func() { event(); close(done) })
	select {
	case <-done:
		return true
	case <-sc.s.stopped:
		return false
	}
}

// bucket reads one bucket. Progress files are listed first: an entry is there
// before its progress file and goes before it, so that a progress file without
// an entry afterwards is an orphan.
func (sc *scanner) bucket(name string) error {
	infos := make(map[queuedir.ID]bool)
	err := eachName(sc.layout.InfoDir(name), func(names []string) bool {
		for _, n := range names {
			if id, err := queuedir.ParseID(strings.TrimPrefix(n, progress.SparePrefix)); err == nil && id.Bucket() == name {
				infos[id] = infos[id] || n == id.String()
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	err = eachName(sc.layout.NewDir(name), func(names []string) bool {
		batch := sc.look(name, names, infos)
		return sc.sync(func() { sc.s.scanned(batch) })
	})
	if err != nil {
		return err
	}
	var orphans []queuedir.ID
	for id := range infos {
		if !sc.exists(sc.layout.Staged(id)) && !sc.exists(sc.layout.Entry(id)) { // in this order: one becomes the other
			orphans = append(orphans, id)
		}
	}
	sc.sync(func() { sc.s.orphans(orphans) })
	return nil
}

func (sc *scanner) exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// look makes of names what the scheduler takes, and strikes out their infos.
func (sc *scanner) look(bucket string, names []string, infos map[queuedir.ID]bool) []found {
	var batch []found
	for _, n := range names {
		id, err := queuedir.ParseID(n)
		if err != nil || id.Bucket() != bucket {
			continue // a large body, or nothing of ours
		}
		f := found{id: id}
		// Also if it is not among infos: an import may have made it since.
		if info, err := os.Lstat(sc.layout.Info(id)); err == nil {
			f.hasInfo, f.due = true, info.ModTime()
		}
		delete(infos, id)
		batch = append(batch, f)
	}
	return batch
}

// eachName calls visit with the names in a directory, a piece at a time, until
// it returns false.
func eachName(dir string, visit func([]string) bool) error {
	d, err := queuedir.OpenDir(dir)
	if err != nil {
		return err
	}
	defer d.Close() // only read from
	for {
		names, err := d.Readdirnames(scanStep)
		if len(names) > 0 && !visit(names) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
