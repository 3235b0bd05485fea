package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// dropped is the content of a file in drop/.
func dropped(body, env string, nonce queuedir.Nonce) []byte {
	content := []byte(body + env)
	footer := queuedir.DropFooter{Nonce: nonce, BodySize: int64(len(body)), EnvelopeSize: int64(len(env))}
	return queuedir.AppendDropFooter(content, footer, queuedir.Checksum(0, content))
}

func dropName(i int) string {
	_, visible := queuedir.DropName([16]byte{0: byte(i >> 8), 1: byte(i), 15: 0xff})
	return visible
}

func (q *queue) leave(i int, content []byte) string {
	q.t.Helper()
	path := filepath.Join(q.layout.Drop(), dropName(i))
	if err := os.WriteFile(path, content, 0o640); err != nil {
		q.t.Fatal(err)
	}
	return path
}

// takeAll takes in until nothing more is to be done.
func (q *queue) takeAll(b *dropbox) {
	for b.pass() {
	}
}

func TestDropIsTakenIn(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"small": "Subject: x\n\nbody\n", "empty": "", "large": strings.Repeat("0123456789abcde\n", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			nonce := newNonce()
			q.leave(1, dropped(body, goodEnvelope, nonce))
			q.takeAll(newDropbox(q.server, nil))
			heard := q.hear(1)[0]
			m := q.read(heard.ID)
			received, got, _ := strings.Cut(m.body, "\n")
			if got != body || strings.Join(m.recipients, ",") != "b@example.net" || m.head.Nonce != nonce {
				t.Errorf("body of %d bytes, recipients %q, head %+v", len(got), m.recipients, m.head)
			}
			who := fmt.Sprintf(" invoked by uid %d); ", os.Getuid())
			if m.head.UID != uint32(os.Getuid()) || !strings.Contains(received, who) {
				t.Errorf("uid %d, %q", m.head.UID, received)
			}
			if !q.store.isCommitted(heard.ID) {
				t.Error("announced but not committed")
			}
			for _, name := range q.files() {
				if !strings.HasPrefix(name, "new/") {
					t.Errorf("left over: %s", name)
				}
			}
		})
	}
}

// Nothing that somebody else could put there does harm, stops the others or
// stays for ever (R71, R72).
func TestHostileDrops(t *testing.T) {
	t.Parallel()
	good := dropped("body\n", goodEnvelope, queuedir.Nonce{1})
	flipped := append([]byte(nil), good...)
	flipped[0] ^= 1
	oversized := queuedir.AppendDropFooter([]byte("x"), queuedir.DropFooter{BodySize: 1 << 29}, 0)
	secret := func(t *testing.T, q *queue) string {
		path := filepath.Join(q.layout.Root, "secret")
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name string
		make func(t *testing.T, q *queue, path string) error
		gone bool   // from drop/
		into string // or moved there
	}{
		{"symbolic link", func(t *testing.T, q *queue, path string) error { return os.Symlink(secret(t, q), path) }, true, ""},
		{"dangling link", func(_ *testing.T, _ *queue, path string) error { return os.Symlink("nowhere", path) }, true, ""},
		{"link to a directory", func(_ *testing.T, _ *queue, path string) error { return os.Symlink("/etc", path) }, true, ""},
		{"hard link", func(t *testing.T, q *queue, path string) error { return os.Link(secret(t, q), path) }, true, ""},
		{"FIFO", func(_ *testing.T, _ *queue, path string) error { return unix.Mkfifo(path, 0o666) }, true, ""},
		{"socket", func(_ *testing.T, _ *queue, path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) }, true, ""},
		{"directory", func(_ *testing.T, _ *queue, path string) error { return os.Mkdir(path, 0o777) }, false, ""},
		{"empty file", write(nil), true, "bad/unacked"},
		{"rubbish", write([]byte(strings.Repeat("rubbish", 1000))), true, "bad/unacked"},
		{"torn: end missing", write(good[:len(good)-1]), true, "bad/unacked"},
		{"torn: zero bytes", write(make([]byte, len(good))), true, "bad/unacked"},
		{"sizes that do not fit", write(oversized), true, "bad/unacked"},
		{"flipped bit", write(flipped), true, "bad"},
		{"bad envelope", write(dropped("x", "rubbish", queuedir.Nonce{2})), true, "bad/unacked"},
		{"address too long", write(dropped("x", "F"+strings.Repeat("x", 1003)+"\x00\x00", queuedir.Nonce{3})), true, "bad/unacked"},
		{"huge and empty", func(_ *testing.T, _ *queue, path string) error {
			return errJoin(os.WriteFile(path, good, 0o640), os.Truncate(path, queuedir.MaxDrop))
		}, true, "bad/unacked"},
		{"huge, sparse, with a footer", sparse, true, "bad/unacked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			path := filepath.Join(q.layout.Drop(), dropName(1))
			if err := tc.make(t, q, path); err != nil {
				t.Fatal(err)
			}
			q.leave(2, dropped("of somebody else\n", goodEnvelope, newNonce()))
			b := newDropbox(q.server, nil)
			q.takeAll(b)
			if m := q.read(q.hear(1)[0].ID); !strings.HasSuffix(m.body, "of somebody else\n") {
				t.Errorf("taken in: %q", m.body)
			}
			_, err := os.Lstat(path)
			if tc.gone != os.IsNotExist(err) {
				t.Errorf("in drop/: %v", err)
			}
			if tc.into != "" {
				if _, err := os.Lstat(filepath.Join(q.layout.Root, tc.into, "drop."+dropName(1))); err != nil {
					t.Error(err)
				}
			}
			lines := len(q.lines)
			b.pass()
			if len(q.lines) != lines {
				t.Errorf("told again: %q", q.lines[lines:])
			}
			if left := q.store.memory.left.Load(); left != messageMemory || len(q.store.inflight) != 0 {
				t.Errorf("%d bytes of memory, %d in flight", messageMemory-left, len(q.store.inflight))
			}
		})
	}
}

func write(content []byte) func(*testing.T, *queue, string) error {
	return func(_ *testing.T, _ *queue, path string) error { return os.WriteFile(path, content, 0o640) }
}

func errJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func sparse(_ *testing.T, _ *queue, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const hole = 100 << 20
	footer := queuedir.AppendDropFooter(nil, queuedir.DropFooter{BodySize: hole}, 0)
	_, err = f.WriteAt(footer, hole)
	return err
}

// changing is a tree whose file changes while it is copied.
type changing struct {
	durable.Tree
	change func(name string)
}

func (c changing) Open(name string) (durable.File, error) {
	f, err := c.Tree.Open(name)
	if err == nil && strings.HasPrefix(name, "./drop/") {
		return changingFile{f, func() { c.change(name) }}, nil
	}
	return f, err
}

type changingFile struct {
	durable.File
	change func()
}

// ReadAt changes the file when its content is read, after its footer.
func (f changingFile) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 {
		f.change()
	}
	return f.File.ReadAt(p, off)
}

func TestDropThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcde\n", 10000)
	for name, change := range map[string]func(path string) error{
		"grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more")
			return err
		},
		"shrinks":     func(path string) error { return os.Truncate(path, 100) },
		"gets a link": func(path string) error { return os.Link(path, path+"x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t)
			path := q.leave(1, dropped(body, goodEnvelope, newNonce()))
			tree := q.store.tree
			q.store.tree = changing{tree, func(string) {
				if err := change(path); err != nil {
					t.Error(err)
				}
			}}
			b := newDropbox(q.server, nil)
			for range 3 {
				b.pass()
			}
			for _, name := range q.files() {
				if strings.HasPrefix(name, "new/") || strings.HasPrefix(name, "tmp/") {
					t.Errorf("became %s", name)
				}
			}
		})
	}
}

func TestDropNamesThatAreNotComplete(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c := &movedClock{Clock: q.store.clock}
	q.store.clock = c
	good := dropped("x", goodEnvelope, newNonce())
	for _, name := range []string{"." + dropName(1), "core", "-rf", "a b\n", strings.Repeat("f", 31), strings.Repeat("F", 32)} {
		if err := os.WriteFile(filepath.Join(q.layout.Drop(), name), good, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	b := newDropbox(q.server, nil)
	b.pass()
	if n := len(q.files()); n != 6 {
		t.Errorf("%d files of 6", n)
	}
	c.by = staleAge + time.Hour
	b.pass()
	if left := q.files(); len(left) != 0 {
		t.Errorf("left after %v: %q", staleAge, left)
	}
}

// A flood of one user does not keep others waiting.
func TestFloodOfDrops(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root to make files of two users")
	}
	q := startQueue(t)
	const flood = 3 * dropFilesByUID
	for i := range flood {
		path := q.leave(i, dropped("flood\n", goodEnvelope, newNonce()))
		if err := os.Chown(path, 1001, -1); err != nil {
			t.Fatal(err)
		}
	}
	path := q.leave(flood, dropped("of somebody else\n", goodEnvelope, newNonce()))
	if err := os.Chown(path, 1002, -1); err != nil {
		t.Fatal(err)
	}
	b := newDropbox(q.server, nil)
	b.pass() // looks for the nonces of what was there at the start
	more := b.pass()
	others, floods := 0, 0
	for _, m := range q.hear(dropFilesByUID + 1) {
		if m.UID == 1002 {
			others++
		} else {
			floods++
		}
	}
	if !more || others != 1 || floods != dropFilesByUID {
		t.Errorf("first pass: %d of the flood, %d of others, more: %v", floods, others, more)
	}
	q.takeAll(b)
	q.hear(flood - dropFilesByUID)
}

// A message whose commit was sent to a process that died, and that was then
// left in drop/, is not taken in twice; nor one of our own.
func TestDropOfWhatIsInTheQueue(t *testing.T) {
	t.Parallel()
	l := makeQueue(t)
	nonce, ours := newNonce(), newNonce()
	q := reopenQueue(t, l)
	c := q.connect()
	uid := uint32(os.Getuid())
	q.server.who = func(uint32) string { return "by test" }
	for _, n := range []queuedir.Nonce{nonce} {
		d, err := q.store.begin(origin{uid: uid, text: "by test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.writeEnvelope([]byte(goodEnvelope)); err != nil {
			t.Fatal(err)
		}
		if _, err := commit(d, n); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	next := reopenQueue(t, l)
	d, err := next.store.begin(origin{uid: uid, text: "by test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.writeEnvelope([]byte(goodEnvelope)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan submit.Answer, 1)
	next.server.commit(d, ours, func(a submit.Answer) { answered <- a })
	if a := <-answered; a.Kind != submit.Accepted {
		t.Fatalf("answer %+v", a)
	}
	next.leave(1, dropped("", goodEnvelope, nonce))
	next.leave(2, dropped("", goodEnvelope, ours))
	next.leave(3, dropped("", goodEnvelope, newNonce()))
	next.takeAll(newDropbox(next.server, nil))
	files := next.files()
	if len(files) != 3 {
		t.Errorf("files %q", files)
	}
	for _, name := range files {
		if !strings.HasPrefix(name, "new/") {
			t.Errorf("left over: %s", name)
		}
	}
}

// What a power cut has torn is not the message that was left in drop/, though it
// has its number.
func TestDropOfWhatIsTorn(t *testing.T) {
	t.Parallel()
	for _, body := range []string{strings.Repeat("line\n", 100), strings.Repeat("line\n", 20_000)} {
		l, nonce := makeQueue(t), newNonce()
		q := reopenQueue(t, l)
		d, err := q.store.begin(origin{uid: uint32(os.Getuid()), text: "by test"})
		if err == nil {
			err = d.writeText([]byte(body))
		}
		if err == nil {
			err = d.writeEnvelope([]byte(goodEnvelope))
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := commit(d, nonce)
		if err != nil {
			t.Fatal(err)
		}
		torn := l.Entry(m.ID)
		if _, err := os.Stat(l.Body(m.ID)); err == nil {
			torn = l.Body(m.ID)
		}
		f, err := os.OpenFile(torn, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt(make([]byte, 40), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		before := len(q.files())
		next := reopenQueue(t, l)
		next.leave(1, dropped(body, goodEnvelope, nonce))
		next.takeAll(newDropbox(next.server, nil))
		if files := next.files(); len(files) <= before {
			t.Errorf("%d bytes: it was not taken in: %q", len(body), files)
		}
	}
}

// Whenever the power fails, a file in drop/ becomes one entry: not none, and
// not two.
func TestCrashWhileTakingIn(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	m := samples[1]
	for _, remain := range []durabletest.Remains{durabletest.OnlySynced, durabletest.Everything, durabletest.Part(r), durabletest.Part(r), durabletest.Part(r)} {
		for i := 0; ; i++ {
			d := newDisk()
			put := func(content []byte) {
				f, err := d.Create("drop/"+dropName(1), 0o640)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Write(content); err != nil {
					t.Fatal(err)
				}
				if err := d.SyncAll(); err != nil {
					t.Fatal(err)
				}
			}
			put(dropped(m.body, m.envelope(), queuedir.Nonce{7}))
			s := diskStore(d)
			d.CrashAt(i)
			announced := 0
			takeIn(s, func(entries.Message) { announced++ })
			finished := d.Operations() <= i+1
			after := d.AfterCrash(remain)
			again := diskStore(after)
			if err := again.recover(); err != nil {
				t.Fatal(err)
			}
			clearTorn(t, again, after, m)
			takeIn(again, func(entries.Message) { announced++ })
			ids := visible(after)
			if len(ids) != 1 {
				t.Fatalf("crash after %d: %d entries", i, len(ids))
			}
			if err := m.check(after, ids[0]); err != nil {
				t.Fatalf("crash after %d: %v", i, err)
			}
			if announced > 1 {
				t.Fatalf("crash after %d: announced %d times", i, announced)
			}
			if finished {
				break
			}
		}
	}
}

// The power fails while a file is taken in; the next process lets the scheduler
// have the entry, which delivers and removes it; the power fails again. Nobody
// takes the file in once more.
func TestCrashAfterACrash(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	m := samples[1]
	for _, remain := range []durabletest.Remains{durabletest.OnlySynced, durabletest.Everything, durabletest.Part(r), durabletest.Part(r)} {
		for i, finished := 0, false; !finished; i++ {
			d := newDisk()
			f, err := d.Create("drop/"+dropName(1), 0o640)
			if err == nil {
				_, err = f.Write(dropped(m.body, m.envelope(), queuedir.Nonce{7}))
			}
			if err == nil {
				err = d.SyncAll()
			}
			if err != nil {
				t.Fatal(err)
			}
			s := diskStore(d)
			d.CrashAt(i)
			takeIn(s, func(entries.Message) {})
			finished = d.Operations() <= i+1
			d = d.AfterCrash(remain)
			delivered := settleAndDeliver(t, d, m)
			d = d.AfterCrash(durabletest.OnlySynced)
			s = diskStore(d)
			if err := s.recover(); err != nil {
				t.Fatal(err)
			}
			takeIn(s, func(entries.Message) {})
			if n := delivered + len(visible(d)); n != 1 {
				t.Errorf("crash after %d: it came %d times", i, n)
			}
		}
	}
}

// settleAndDeliver starts a spool on a disk, and delivers and removes what the
// scheduler may have then. It returns how many messages that were.
func settleAndDeliver(t *testing.T, d *durabletest.Disk, m sample) (delivered int) {
	t.Helper()
	s := diskStore(d)
	if err := s.recover(); err != nil {
		t.Fatal(err)
	}
	clearTorn(t, s, d, m)
	server := newServer(s, func(entries.Message) {}, func(string) {}, 10, func(uint32) string { return "by uid 0" })
	if err := newDropbox(server, nil).settleFormer(); err != nil {
		t.Fatal(err)
	}
	for _, id := range visible(d) {
		done := make(chan struct{})
		s.remove(id, func() { close(done) })
		// Of all directories this is the one that a crash leaves as it is.
		if err := s.group.Wait(s.group.Begin(), nil, s.dir(layout.NewDir(id.Bucket()))); err != nil {
			t.Fatal(err)
		}
		<-done
		delivered++
	}
	return delivered
}

func takeIn(s *Store, announce func(entries.Message)) {
	server := newServer(s, announce, func(string) {}, 10, func(uint32) string { return "by uid 0" })
	b := newDropbox(server, nil)
	for n := 0; n < 5 && b.pass(); n++ {
	}
}

// clearTorn does what the scheduler does with what it cannot read.
func clearTorn(t *testing.T, s *Store, d *durabletest.Disk, m sample) {
	t.Helper()
	for _, id := range visible(d) {
		if m.check(d, id) == nil {
			continue
		}
		done := make(chan struct{})
		s.quarantine(id, true, func() { close(done) })
		if err := s.group.All(s.group.Begin()); err != nil {
			t.Fatal(err)
		}
		<-done
	}
}

// The file is removed, durably, before anybody hears of the message.
func TestDropResistsItsRemoval(t *testing.T) {
	t.Parallel()
	d := newDisk()
	f, err := d.Create("drop/"+dropName(1), 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(dropped("x", goodEnvelope, newNonce())); err != nil {
		t.Fatal(err)
	}
	tree := &stubborn{Disk: d}
	s := diskStore(tree)
	announced := 0
	server := newServer(s, func(entries.Message) { announced++ }, func(string) {}, 10, func(uint32) string { return "by uid 0" })
	b := newDropbox(server, nil)
	for range 5 {
		b.pass()
	}
	ids := visible(d)
	if len(ids) != 1 || announced != 0 || s.isCommitted(ids[0]) {
		t.Errorf("%d entries, %d announced", len(ids), announced)
	}
	tree.allowed = true
	b.pass()
	if announced != 1 || !s.isCommitted(ids[0]) || len(d.Files()) != 1 {
		t.Errorf("%d announced, files %q", announced, keys(d.Files()))
	}
}

// stubborn is a disk that does not remove from drop/.
type stubborn struct {
	*durabletest.Disk
	allowed bool
}

func (s *stubborn) Unlink(name string) error {
	if !s.allowed && strings.Contains(name, "drop/") {
		return syscall.EIO
	}
	return s.Disk.Unlink(name)
}
