package queuectl

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
)

// classicWriter writes a queue as qmail does (spec section 1).
type classicWriter struct {
	t     testing.TB
	dir   string
	split int // 0: none
}

func newClassic(t testing.TB, split int) classicWriter {
	w := classicWriter{t, t.TempDir() + "/queue", split}
	for _, d := range []string{"mess", "info", "local", "remote", "todo", "intd", "bounce", "pid", "lock"} {
		if err := os.MkdirAll(w.dir+"/"+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, w.dir+"/lock/sendmutex", "")
	return w
}

func (w classicWriter) path(dir string, n int) string {
	if w.split > 0 && dir != "todo" && dir != "bounce" && dir != "intd" {
		return filepath.Join(w.dir, dir, strconv.Itoa(n%w.split), strconv.Itoa(n))
	}
	return filepath.Join(w.dir, dir, strconv.Itoa(n))
}

func (w classicWriter) file(dir string, n int, text string, at time.Time) {
	w.t.Helper()
	path := w.path(dir, n)
	put(w.t, path, text)
	if err := os.Chtimes(path, at, at); err != nil {
		w.t.Fatal(err)
	}
}

// records joins records as they are on disk.
func records(list ...string) string {
	return strings.Join(list, "\x00") + "\x00"
}

const classicText = "Received: (qmail 99 invoked by uid 1234); 1 Jan 2026 00:00:00 -0000\nSubject: x\n\nhello\n"

// message queues a message that has been looked at, due some hours after its
// birth.
func (w classicWriter) message(n int, born time.Time, sender string, locals, remotes []string) {
	w.t.Helper()
	w.file("mess", n, classicText, born)
	w.file("info", n, records("F"+sender), born)
	if locals != nil {
		w.file("local", n, records(locals...), born.Add(4*time.Hour))
	}
	if remotes != nil {
		w.file("remote", n, records(remotes...), born.Add(5*time.Hour))
	}
}

// found reads all messages of a queue.
func found(t testing.TB, home string) (all []*message) {
	t.Helper()
	s := &source{layout: queuedir.At(home), direct: true, trouble: func(id string, err error) { t.Errorf("%s: %v", id, err) }}
	err := s.each(nil, reading{}, func(m *message, e *queuedir.Entry) error {
		all = append(all, m)
		return e.CheckBody()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportClassic(t *testing.T) {
	t.Parallel()
	for _, split := range []int{0, 23, 151} {
		t.Run(fmt.Sprint(split), func(t *testing.T) {
			t.Parallel()
			importClassicQueue(t, split)
		})
	}
}

func importClassicQueue(t *testing.T, split int) {
	home, l := newHome(t)
	w := newClassic(t, split)
	at := born()
	w.message(1000123, at, "a@b.org", []string{"Tbob@me.example.org", "Tjoe-v-info@virt.example.org", "Tjim-USER@v2.example.org"},
		[]string{"Dx@y.z", "Ty@y.z"})
	w.message(1000124, at.Add(time.Second), "", nil, []string{"Df@y.z"})
	w.file("bounce", 1000124, "<f@y.z>:\nno such user\n\n<gone@y.z>:\nnever\n\n", at)
	w.message(1000125, at.Add(2*time.Second), "#@[]", nil, []string{"Dz@y.z"}) // qmail was about to remove it
	w.file("mess", 1000126, strings.Repeat("large\n", 20_000), at)
	w.file("todo", 1000126, records("u1000", "p77", "Fc@d.org", "Tinfo@virt.example.org", "Tm@n.o"), at.Add(3*time.Second))
	w.file("mess", 1000127, "never acknowledged", at)
	w.message(1000129, at.Add(4*time.Second), "w@x.org", nil, []string{"Tlate@y.z"})
	w.message(1000128, at, "list-@h.org-@[]", []string{"Tbad\nname@x"}, nil)

	code, stdout, stderr := call(t, home, "import", w.dir)
	if code != exitTemporary || stdout != "imported: 4; imported before: 0; nothing to do: 1\n" || !strings.Contains(stderr, "not imported: 1000128: ") {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	all := found(t, home)
	if len(all) != 4 {
		t.Fatalf("%d messages", len(all))
	}
	m := all[0]
	got := fmt.Sprint(m.Arrived.Unix()-at.Unix(), m.Sender, m.UID, m.Next.Unix()-at.Unix())
	for _, r := range m.Recipients {
		got += fmt.Sprintf(" %s:%s", r.Address, r.Done)
	}
	const want = "0a@b.org1234 14400 bob@me.example.org: info@virt.example.org: USER@v2.example.org: x@y.z:delivered y@y.z:"
	if got != want || m.State != isDeferred || bodyOf(t, l, m.id) != classicText {
		t.Errorf("got  %s\nwant %s\nstate %s", got, want, m.State)
	}
	m = all[1]
	if m.State != isBouncing || len(m.Recipients) != 2 || m.Recipients[0].Reason != "no such user" || m.Recipients[1].Address != "gone@y.z" || m.Recipients[1].Reason != "never" {
		t.Errorf("what is to be bounced: %+v", m)
	}
	m = all[2]
	if m.State != isNew || m.UID != 1000 || m.Arrived.Unix() != at.Unix()+3 || len(m.Recipients) != 2 || m.Size != 120_000 {
		t.Errorf("what nobody has looked at: %+v", m)
	}
	if m = all[3]; m.State != isDeferred || m.Next.Unix() == 0 {
		t.Errorf("what was tried in vain: %+v", m)
	}
	// Again: nothing comes twice, even when all of it has left the queue.
	for _, m := range all {
		if err := os.Remove(l.Entry(m.id)); err != nil {
			t.Fatal(err)
		}
	}
	_, stdout, _ = call(t, home, "import", w.dir)
	if stdout != "imported: 0; imported before: 4; nothing to do: 1\n" || len(found(t, home)) != 0 {
		t.Errorf("again: %q", stdout)
	}
}

// Mail of lists is known as such: nobody is told of its delay.
func TestImportedListMail(t *testing.T) {
	t.Parallel()
	home, l := newHome(t)
	w := newClassic(t, 23)
	for n, header := range []string{"Subject: x\n", "Subject: x\nList-Id: <l.x.org>\n", "Precedence: bulk\n", "Subject: x\n\nList-Id: <l.x.org>\n"} {
		w.message(2000+n, born().Add(time.Duration(n)*time.Second), "a@b.org", nil, []string{"Ty@y.z"})
		w.file("mess", 2000+n, header+"\ntext\n", born())
	}
	if code, stdout, stderr := call(t, home, "import", w.dir); code != exitOK {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	var got []bool
	for _, m := range found(t, home) {
		entry, err := queuedir.OpenEntry(l, m.id)
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := entry.Envelope()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, envelope.Head.Bulk)
		entry.Close()
	}
	if !slices.Equal(got, []bool{false, true, true, false}) {
		t.Errorf("of lists and in bulk: %v", got)
	}
}

func TestImportRefusesWhileQmailRuns(t *testing.T) {
	t.Parallel()
	home, _ := newHome(t)
	w := newClassic(t, 23)
	w.message(7, born(), "a@b.org", nil, []string{"Ty@y.z"})
	f, err := os.OpenFile(w.dir+"/lock/sendmutex", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, home, "import", w.dir)
	if code != exitTemporary || !strings.Contains(stderr, "qmail-send runs on this queue: stop it first") || len(found(t, home)) != 0 {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestImportAfterInterruption stops an import at each point and goes on: every
// message is there once.
func TestImportAfterInterruption(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(p *placer, batch []item) error{
		"before all":  func(*placer, []item) error { return nil },
		"half staged": func(p *placer, batch []item) error { return each(batch[:2], p.stage) },
		"half the progress": func(p *placer, batch []item) error {
			return first(each(batch, p.stage), each(batch[:2], p.stageProgress))
		},
		"staged": func(p *placer, batch []item) error { return first(each(batch, p.stage), each(batch, p.stageProgress)) },
		"intended": func(p *placer, batch []item) error {
			return first(each(batch, p.stage), each(batch, p.stageProgress), p.note("intent", batch))
		},
		"half renamed": func(p *placer, batch []item) error {
			return first(each(batch, p.stage), each(batch, p.stageProgress), p.note("intent", batch),
				rename(p.layout.Staged(batch[3].id), p.layout.Entry(batch[3].id)))
		},
		"a journal that is cut": func(p *placer, batch []item) error {
			_, err := p.journal.WriteString("done 1")
			return first(each(batch, p.stage), each(batch, p.stageProgress), err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, l := newHome(t)
			w := newClassic(t, 23)
			at := born()
			for n := range 5 {
				w.message(n+1, at, "a@b.org", nil, []string{"Dx@y.z", "Ty@y.z"})
			}
			journal := t.TempDir() + "/journal"
			begin := func() (*placer, []item) {
				q, err := openClassic(w.dir, home)
				if err != nil {
					t.Fatal(err)
				}
				p, err := newPlacer(home, journal)
				if err != nil {
					t.Fatal(err)
				}
				all, err := q.messages()
				if err != nil {
					t.Fatal(err)
				}
				var batch []item
				for _, m := range all {
					if p.done[m.number] {
						continue
					}
					it, err := q.convert(m, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					batch = append(batch, *it)
				}
				q.close()
				return p, batch
			}
			p, batch := begin()
			used := make(map[queuedir.ID]bool)
			for i := range batch {
				if err := p.free(&batch[i], used); err != nil {
					t.Fatal(err)
				}
			}
			if err := stop(p, batch); err != nil {
				t.Fatal(err)
			}
			// Nobody else imports meanwhile.
			if _, err := newPlacer(home, journal); err == nil || !strings.Contains(err.Error(), "another import") {
				t.Errorf("a second import: %v", err)
			}
			if err := p.journal.Close(); err != nil { // the first one is no more
				t.Fatal(err)
			}
			p, batch = begin()
			for _, it := range batch {
				if err := p.add(it); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.finish(); err != nil {
				t.Fatal(err)
			}
			all := found(t, home)
			if len(all) != 5 {
				t.Errorf("%d messages", len(all))
			}
			for _, m := range all {
				if m.left() != 1 || m.Recipients[0].Done == "" {
					t.Errorf("%+v", m)
				}
				if _, err := os.Lstat(l.Staged(m.id)); err == nil {
					t.Errorf("%s is still staged", m.ID)
				}
			}
		})
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestImportOfOneself: the queue is not imported into itself, and options that
// mean nothing to an import are none of its.
func TestImportOfOneself(t *testing.T) {
	t.Parallel()
	home, l := newHome(t)
	if code, _, stderr := call(t, home, "import", l.Root); code != exitTemporary || !strings.Contains(stderr, errOwnQueue.Error()) {
		t.Errorf("exit %d, %q", code, stderr)
	}
	for _, option := range []string{"--dry-run", "--all"} {
		if code, _, stderr := call(t, home, "import", option, l.Root); code != exitMisused {
			t.Errorf("%s: exit %d, %q", option, code, stderr)
		}
	}
}

// TestImportMany imports many messages in one go.
func TestImportMany(t *testing.T) {
	t.Parallel()
	home, _ := newHome(t)
	w := newClassic(t, 23)
	at := born()
	n := 1000
	if os.Getenv("FAULTS") == "long" {
		n = 10_000
	}
	for i := range n {
		w.message(i+1, at, "a@b.org", nil, []string{"Dx@y.z", "Ty@y.z"})
	}
	begun := time.Now()
	if stdout := must(t, home, "import", w.dir); !strings.HasPrefix(stdout, fmt.Sprintf("imported: %d;", n)) {
		t.Errorf("got %s", stdout)
	}
	t.Logf("%d messages in %v", n, time.Since(begun))
	if got := len(found(t, home)); got != n {
		t.Errorf("%d messages", got)
	}
}

// TestMoveQueue moves a queue of this suite by copying and by an archive, into
// a queue where a number is taken.
func TestMoveQueue(t *testing.T) {
	t.Parallel()
	from, ids := someQueue(t)
	old := queuedir.At(from)
	archive := t.TempDir() + "/archive"
	if err := os.WriteFile(archive, []byte(must(t, from, "export", "--all")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, what := range map[string]string{"directory": old.Root, "archive": archive} {
		t.Run(name, func(t *testing.T) {
			home, l := newHome(t)
			entry(t, l, ids[2], 5, "mine\n", "me@my.org", "you@your.org")
			if stdout := must(t, home, "import", what); !strings.HasPrefix(stdout, "imported: 4;") {
				t.Fatalf("got %s", stdout)
			}
			if stdout := must(t, home, "import", what); !strings.HasPrefix(stdout, "imported: 0; imported before: 4;") {
				t.Fatalf("again: %s", stdout)
			}
			all := found(t, home)
			if len(all) != 5 || bodyOf(t, l, ids[2]) != "mine\n" {
				t.Fatalf("%d messages", len(all))
			}
			states := make(map[string]int)
			for _, m := range all {
				states[string(m.State)+" "+m.Sender]++
				if m.State == isHeld && m.HeldWhy != "looks odd" {
					t.Errorf("held because %q", m.HeldWhy)
				}
				if m.Size == 100<<10 && (m.left() != 1 || len(bodyOf(t, l, m.id)) != 100<<10 || m.Next.Unix() != ids[0].Time().Unix()+24*3600) {
					t.Errorf("%+v", m)
				}
			}
			if got := fmt.Sprint(states); got != "map[bouncing a@b.org:1 deferred A@b.org:1 held :1 new a@b.org:1 new me@my.org:1]" {
				t.Errorf("states: %s", got)
			}
		})
	}
}
