package queuecheck

import (
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/queuelock"
)

const aDrop = "0123456789abcdef0123456789abcdef"

// TestFindings has a row for each thing that may be found. Where --repair does
// something, the file is then there and nowhere else.
func TestFindings(t *testing.T) {
	t.Parallel()
	const old = "00000000000000000107" // a message of 1970
	tests := []struct {
		name string
		make func(q *queue) (file string)
		want string // level and kind; nothing: it is sound
		to   string // where repair moves it; "." that it is put right in its place
	}{
		{"a whole message", func(q *queue) string { return entryOf(q.message(7, short)) }, "", ""},
		{"a whole large message", func(q *queue) string { return entryOf(q.message(7, long())) }, "", ""},
		{"a message with progress", func(q *queue) string { return infoOf(q.tried(7, "")) }, "", ""},
		{"an entry that is cut", func(q *queue) string { return q.cut(entryOf(q.message(7, short)), 1) }, "own torn", ""},
		{"an empty entry", func(q *queue) string { return q.cut(entryOf(q.message(7, short)), 1<<30) }, "own torn", ""},
		{"an entry that is cut, and was tried", func(q *queue) string { return q.cut(entryOf(q.tried(7, "")), 1) }, "hands torn", ""},
		{"an entry that is cut, and whose progress is kept", func(q *queue) string {
			id := q.tried(7, "")
			q.rename(infoOf(id), infoOf(id)+".bad")
			q.put("bad/"+id.String(), "")
			return q.cut(entryOf(id), 1)
		}, "hands torn", ""},
		{"an entry with a bit changed", func(q *queue) string { return q.flip(entryOf(q.message(7, short)), 0) }, "hands damaged", ""},
		{"an envelope with a bit changed", func(q *queue) string { return q.flip(entryOf(q.message(7, short)), len(short)+2) }, "hands damaged", ""},
		{"an entry without its body", func(q *queue) string {
			id := q.message(7, long())
			q.remove(entryOf(id) + ".body")
			return entryOf(id)
		}, "own torn", ""},
		{"a body that is cut", func(q *queue) string {
			id := q.message(7, long())
			q.cut(entryOf(id)+".body", 1)
			return entryOf(id)
		}, "own torn", ""},
		{"a body with a bit changed", func(q *queue) string {
			id := q.message(7, long())
			q.flip(entryOf(id)+".body", 9)
			return entryOf(id)
		}, "hands damaged", ""},
		{"a body that lost its bytes before an answer", func(q *queue) string {
			id := q.message(7, long())
			q.put(entryOf(id)+".body", strings.Repeat("\x00", len(long())))
			return entryOf(id)
		}, "own damaged", ""},
		{"a body that lost its bytes behind an attempt", func(q *queue) string {
			id := q.message(7, long())
			q.put(infoOf(id), "")
			q.put(entryOf(id)+".body", strings.Repeat("\x00", len(long())))
			return entryOf(id)
		}, "hands damaged", ""},
		{"an entry of a later release", func(q *queue) string {
			id := q.message(7, short)
			q.put(entryOf(id), strings.Replace(q.text(entryOf(id)), "postrider entry 1", "postrider entry 2", 1))
			return entryOf(id)
		}, "hands newer", ""},
		{"a body without its entry", func(q *queue) string {
			id := q.message(7, long())
			q.remove(entryOf(id))
			return entryOf(id) + ".body"
		}, "own orphan-body", "bad/*.body"},
		{"progress without its entry", func(q *queue) string {
			id := q.tried(7, "")
			q.remove(entryOf(id))
			return infoOf(id)
		}, "own orphan-info", "info/07/*.bad"},
		{"progress that ends early", func(q *queue) string { return infoOf(q.tried(7, "cut off")) }, "own torn-info", ""},
		{"progress with a bad line", func(q *queue) string {
			return infoOf(q.tried(7, "bad line\n"+string(queuedir.AppendDelivered(nil, []int{1}))))
		}, "hands damaged-info", ""},
		{"progress of a message with more recipients", func(q *queue) string {
			return infoOf(q.tried(7, string(queuedir.AppendDelivered(nil, []int{2}))))
		}, "hands damaged-info", ""},
		{"progress that is huge", func(q *queue) string { return q.grow(infoOf(q.tried(7, "")), 40<<20) }, "hands huge-info", ""},
		{"a message that is done", func(q *queue) string {
			return entryOf(q.tried(7, string(queuedir.AppendDelivered(nil, []int{1}))))
		}, "own done", ""},
		{"a failure that is not told yet", func(q *queue) string {
			return entryOf(q.tried(7, string(queuedir.AppendFailed(nil, 1, time.Now(), "no"))))
		}, "", ""},
		{"progress that was written anew", func(q *queue) string { q.put("info/07/."+old, ""); return "info/07/." + old }, "own spare", ""},
		{"kept progress of nothing", func(q *queue) string { q.put("info/07/"+old+".bad", ""); return "info/07/" + old + ".bad" }, "hands kept-info", ""},
		{"an entry that is a pipe", func(q *queue) string { q.fifo("new/07/" + old); return "new/07/" + old }, "hands wrong-type", ""},
		{"an entry that is a link", func(q *queue) string { return q.link("/etc/passwd", "new/07/"+old) }, "hands wrong-type", ""},
		{"a body that is a link", func(q *queue) string {
			id := q.message(7, long())
			q.remove(entryOf(id) + ".body")
			return q.link("/etc/passwd", entryOf(id)+".body")
		}, "hands wrong-type", ""},
		{"progress that is a pipe", func(q *queue) string {
			id := q.message(7, short)
			q.fifo(infoOf(id))
			return infoOf(id)
		}, "hands wrong-type", ""},
		{"an entry with another mode", func(q *queue) string { return q.chmod(entryOf(q.message(7, short)), 0o666) }, "hands wrong-owner", "."},
		{"progress with another mode", func(q *queue) string { return q.chmod(infoOf(q.tried(7, "")), 0o644) }, "hands wrong-owner", "."},
		{"a directory with another mode", func(q *queue) string { return q.chmod("info", 0o755) }, "hands wrong-owner", "."},
		{"a bucket with another mode", func(q *queue) string { return q.chmod("new/07", 0o700) }, "hands wrong-owner", "."},
		{"the queue with another mode", func(q *queue) string { return q.chmod("", 0o700) }, "hands wrong-owner", "."},
		{"a lock with another mode", func(q *queue) string { return q.chmod("lock/spool", 0o666) }, "hands wrong-owner", "."},
		{"a bucket of messages that is missing", func(q *queue) string { q.remove("new/07"); return "new/07" }, "own missing", "."},
		{"a bucket of progress that is missing", func(q *queue) string { q.remove("info/07"); return "info/07" }, "hands missing", "."},
		{"drop that is missing", func(q *queue) string { q.remove("drop"); return "drop" }, "hands missing", "."},
		{"a lock that is missing", func(q *queue) string { q.remove("lock/sendmutex"); return "lock/sendmutex" }, "hands missing", "."},
		{"a directory that is a link", func(q *queue) string {
			q.remove("new/07")
			return q.link(q.Root+"/new/08", "new/07")
		}, "hands wrong-type", ""},
		{"an entry in the bucket of others", func(q *queue) string {
			id := q.message(7, short)
			q.rename(entryOf(id), "new/08/"+id.String())
			return "new/08/" + id.String()
		}, "hands misplaced", "new/07/*"},
		{"a name in new/", func(q *queue) string { return q.strange("new/hello") }, "hands unknown", "bad/found.1"},
		{"a name in a bucket", func(q *queue) string { return q.strange("new/07/hello\n\x1b") }, "hands unknown", "bad/found.1"},
		{"a name with a dot in front", func(q *queue) string { return q.strange("new/07/.hello") }, "hands unknown", "bad/found.1"},
		{"a name in info/", func(q *queue) string { return q.strange("info/7") }, "hands unknown", "bad/found.1"},
		{"a name in a bucket of progress", func(q *queue) string { return q.strange("info/07/123") }, "hands unknown", "bad/found.1"},
		{"a name in the queue", func(q *queue) string { return q.strange("mess") }, "hands unknown", "bad/found.1"},
		{"a name in lock/", func(q *queue) string { return q.strange("lock/trigger") }, "hands unknown", "bad/found.1"},
		{"a directory in new/07", func(q *queue) string { q.must(os.Mkdir(q.Root+"/new/07/d", 0o700)); return "new/07/d" }, "hands unknown", "bad/found.1"},
		{"a socket that is a file", func(q *queue) string { return q.strange("submit.sock") }, "hands wrong-type", ""},
		{"a file system's own", func(q *queue) string { q.must(os.Mkdir(q.Root+"/lost+found", 0o700)); return "" }, "", ""},
		{"what was being received", func(q *queue) string { return q.strange("tmp/" + old) }, "own leftover", ""},
		{"what an end leaves", func(q *queue) string { return q.strange("tmp/answered") }, "", ""},
		{"a directory in tmp/", func(q *queue) string { q.must(os.Mkdir(q.Root+"/tmp/d", 0o700)); return "tmp/d" }, "hands unknown", "bad/found.1"},
		{"an import that goes on", func(q *queue) string { return q.strange("new/07/." + old) }, "own staged", ""},
		{"an entry in bad/", func(q *queue) string { return q.strange("bad/" + old) }, "hands aside", ""},
		{"a second entry in bad/", func(q *queue) string { return q.strange("bad/" + old + ".12") }, "hands aside", ""},
		{"a whole message in bad/", func(q *queue) string {
			id := q.message(7, long())
			q.rename(entryOf(id), "bad/"+id.String())
			q.rename(entryOf(id)+".body", "bad/"+id.String()+".body")
			return "bad/" + id.String()
		}, "hands aside", ""},
		{"a body alone in bad/", func(q *queue) string { return q.strange("bad/" + old + ".body") }, "hands aside", ""},
		{"a drop in bad/", func(q *queue) string { return q.strange("bad/drop." + aDrop) }, "hands aside", ""},
		{"what repair found", func(q *queue) string { return q.strange("bad/found.3") }, "hands aside", ""},
		{"a strange name in bad/", func(q *queue) string { return q.strange("bad/hello") }, "hands unknown", ""},
		{"an entry in bad/unacked", func(q *queue) string { return q.strange("bad/unacked/" + old) }, "own unacked", ""},
		{"a message in drop/", func(q *queue) string { q.put("drop/"+aDrop, dropText(false)); return "drop/" + aDrop }, "own waiting", ""},
		{"a torn one in drop/", func(q *queue) string { return q.strange("drop/" + aDrop) }, "own torn-drop", ""},
		{"a hole in drop/", func(q *queue) string { return q.grow(q.strange("drop/"+aDrop), 1<<30) }, "own torn-drop", ""},
		{"a damaged one in drop/", func(q *queue) string { q.put("drop/"+aDrop, dropText(true)); return "drop/" + aDrop }, "hands damaged-drop", ""},
		{"one in drop/ that lost its bytes before an answer", func(q *queue) string {
			text := dropText(false)
			q.put("drop/"+aDrop, strings.Repeat("\x00", len(short))+text[len(short):])
			return "drop/" + aDrop
		}, "own damaged-drop", ""},
		{"one in drop/ that is being written", func(q *queue) string { return q.strange("drop/." + aDrop) }, "", ""},
		{"a pipe in drop/", func(q *queue) string { q.fifo("drop/" + aDrop); return "drop/" + aDrop }, "own not-a-drop", ""},
		{"a directory in drop/", func(q *queue) string { q.must(os.Mkdir(q.Root+"/drop/"+aDrop, 0o700)); return "drop/" + aDrop }, "hands not-a-drop", "bad/found.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(t)
			file := test.make(q)
			if test.want == "" {
				q.holds(q.config())
			} else {
				q.holds(q.config(), q.also(file, test.want+" "+file)...)
			}
			repair := q.config()
			repair.Repair = true
			switch to := strings.Replace(test.to, "*", strings.TrimSuffix(path.Base(file), ".body"), 1); {
			case test.want == "":
			case to == "":
				q.holds(repair, q.also(file, test.want+" "+file)...)
				if !q.exists(file) {
					t.Errorf("%s is gone", file)
				}
			case to == ".":
				q.holds(repair, test.want+" "+file+": "+map[bool]string{true: "made", false: "has its owner and mode"}[strings.HasSuffix(test.want, "missing")])
				q.holds(q.config())
			default:
				_, all, sum := q.check(repair)
				if all[0].Path != file || all[0].Mended != "moved to "+to || sum.Mended != 1 || q.exists(file) || !q.exists(to) {
					t.Errorf("%+v, %+v", all, sum)
				}
			}
		})
	}
}

func entryOf(id queuedir.ID) string { return "new/" + id.Bucket() + "/" + id.String() }
func infoOf(id queuedir.ID) string  { return "info/" + id.Bucket() + "/" + id.String() }

// also adds what is found of another file at the same time: a copy in bad/ that a
// row needs.
func (q *queue) also(file, line string) []string {
	if base := "bad/" + path.Base(file); file != "" && file != base && q.exists(base) && !strings.Contains(line, "bucket") {
		return []string{line, "hands aside " + base}
	}
	return []string{line}
}

// tried is a message whose first recipient is done, with more behind that.
func (q *queue) tried(n int, more string) queuedir.ID {
	q.t.Helper()
	id := q.message(n, short)
	q.put(infoOf(id), string(queuedir.AppendDelivered(nil, []int{0}))+more)
	return id
}

func (q *queue) text(path string) string {
	q.t.Helper()
	b, err := os.ReadFile(q.Root + "/" + path)
	q.must(err)
	return string(b)
}

func (q *queue) strange(path string) string { q.t.Helper(); q.put(path, "hello"); return path }

func (q *queue) cut(path string, n int) string {
	q.t.Helper()
	text := q.text(path)
	q.put(path, text[:max(0, len(text)-n)])
	return path
}

func (q *queue) flip(path string, at int) string {
	q.t.Helper()
	b := []byte(q.text(path))
	b[at] ^= 1
	q.put(path, string(b))
	return path
}

func (q *queue) grow(path string, size int64) string {
	q.t.Helper()
	text := q.text(path)
	q.must(os.Truncate(q.Root+"/"+path, size))
	if strings.HasPrefix(path, "info/") { // a hole at the end of progress does not count
		f, err := os.OpenFile(q.Root+"/"+path, os.O_WRONLY, 0)
		q.must(err)
		_, err = f.WriteAt([]byte(text), size)
		q.must(err)
		q.must(f.Close())
	}
	return path
}

func (q *queue) chmod(path string, mode os.FileMode) string {
	q.t.Helper()
	q.must(os.Chmod(q.Root+"/"+path, mode))
	return path
}

func (q *queue) link(to, path string) string {
	q.t.Helper()
	q.must(os.Symlink(to, q.Root+"/"+path))
	return path
}

// TestOwners: files that belong to others, as of a restore that kept no owners.
func TestOwners(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	q := newQueue(t)
	id := q.tried(7, "")
	for _, name := range []string{entryOf(id), infoOf(id), "new/07"} {
		q.must(os.Chown(q.Root+"/"+name, 12345, 12345))
	}
	want := []string{"hands wrong-owner " + entryOf(id), "hands wrong-owner " + infoOf(id), "hands wrong-owner new/07"}
	q.holds(q.config(), want...)
	repair := q.config()
	repair.Repair = true
	for i := range want {
		want[i] += ": has its owner and mode"
	}
	q.holds(repair, want...)
	q.holds(q.config())

	// A name of somebody else's file is not given away.
	q.must(os.Link(q.Root+"/"+entryOf(id), q.Root+"/../second"))
	q.must(os.Chown(q.Root+"/../second", 12345, 12345))
	q.holds(repair, "hands wrong-owner "+entryOf(id))
}

// TestBodyIsAttachedAgain: the body of an entry that was restored is elsewhere.
func TestBodyIsAttachedAgain(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"tmp", "bad", "bad/unacked"} {
		q := newQueue(t)
		id := q.message(7, long())
		body := entryOf(id) + ".body"
		q.rename(body, dir+"/"+id.String()+".body")
		repair := q.config()
		repair.Repair = true
		_, all, sum := q.check(repair)
		if sum.Mended != 1 || all[len(all)-1].Mended != "moved to "+body && all[0].Mended != "moved to "+body {
			t.Errorf("%s: %+v", dir, all)
		}
		q.holds(q.config())

		// One that is not its own stays where it is.
		q.rename(body, dir+"/"+id.String()+".body")
		q.flip(dir+"/"+id.String()+".body", 3)
		if _, _, sum := q.check(repair); sum.Mended != 0 || q.exists(body) {
			t.Errorf("%s: another body was taken: %+v", dir, sum)
		}
	}
}

// TestRepairReplacesNothing: what is there already stays as it is.
func TestRepairReplacesNothing(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	id := q.message(7, long())
	q.remove(entryOf(id))
	q.put("bad/"+id.String()+".body", "another")
	q.put("bad/found.1", "one before")
	repair := q.config()
	repair.Repair = true
	q.holds(repair, "own orphan-body "+entryOf(id)+".body: moved to bad/found.2", "hands aside bad/"+id.String()+".body",
		"hands aside bad/found.1", "hands aside bad/found.2")
	if q.text("bad/found.2") != long() || q.text("bad/found.1") != "one before" || q.text("bad/"+id.String()+".body") != "another" {
		t.Error("something was replaced")
	}
}

// TestRepairNeedsTheLocks: nothing is put right while a daemon works.
func TestRepairNeedsTheLocks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"spool", "sendmutex"} {
		q := newQueue(t)
		q.strange("new/07/hello")
		defer q.lock(name)()
		config := q.config()
		config.Repair = true
		if _, err := Run(config); err != ErrInUse || !q.exists("new/07/hello") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lock takes a lock of the queue, as the daemon does that has it.
func (q *queue) lock(name string) (free func()) {
	q.t.Helper()
	f, err := os.OpenFile(q.Root+"/lock/"+name, os.O_RDWR, 0)
	q.must(err)
	q.must(queuelock.Try(f))
	return func() { f.Close() }
}

// TestWhatPassesIsNotTold: of a suite that works, only what stays is told.
func TestWhatPassesIsNotTold(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	defer q.lock("spool")()
	removed, lost := q.message(7, long()), q.message(8, long())
	q.remove(entryOf(removed)) // its body follows
	q.remove(entryOf(lost))
	written, cut := q.tried(9, "half a "), q.tried(10, "half a ")
	waited := time.Duration(0)
	config := q.config()
	config.Pause = func(d time.Duration) {
		if waited == 0 {
			q.remove(entryOf(removed) + ".body")
			q.put(infoOf(written), string(queuedir.AppendDelivered(nil, []int{0})))
		}
		waited += d
	}
	q.strange("tmp/" + removed.String())
	sum := q.holds(config, "own orphan-body "+entryOf(lost)+".body", "own torn-info "+infoOf(cut))
	if !sum.Running || sum.Receiving != 1 || sum.Messages != 2 || waited < 30*time.Second {
		t.Errorf("%+v, waited %v", sum, waited)
	}
}

// TestClassicQueueBeside: a queue of qmail in the same place is nobody's trouble.
func TestClassicQueueBeside(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for _, dir := range []string{"mess", "intd", "todo", "pid", "local", "remote", "bounce", "info/3"} {
		q.must(os.Mkdir(q.Root+"/"+dir, 0o700))
	}
	q.put("info/3/1234", "")
	q.put("info/17/1250", "")
	q.fifo("lock/trigger")
	q.holds(q.config())
	q.strange("info/17/1250x")
	q.holds(q.config(), "hands unknown info/17/1250x")
}

// TestPutBack: entries that came here long after their message are counted.
func TestPutBack(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for i, tried := range []bool{true, false, false} {
		id := queuedir.NewID(time.Now().Add(-2*time.Hour), i, 7)
		entry, _ := parts(t, short)
		q.put(entryOf(id), entry)
		if tried {
			q.put(infoOf(id), string(queuedir.AppendDelivered(nil, []int{0})))
		}
	}
	q.message(9, short)
	if sum := q.holds(q.config()); sum.Messages != 4 || sum.Tried != 1 || sum.PutBack != 3 || sum.Untried != 2 {
		t.Errorf("%+v", sum)
	}
}

// TestOldFilesAreLeftovers, by their times.
func TestOldFilesAreLeftovers(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	defer q.lock("spool")()
	const old = "00000000000000000107"
	q.strange("tmp/" + old)
	q.strange("new/07/." + old)
	q.must(os.Chtimes(q.Root+"/tmp/"+old, time.Time{}, time.Now().Add(-40*time.Hour)))
	config := q.config()
	config.Pause = func(time.Duration) {}
	q.holds(config, "own leftover tmp/"+old, "own staged new/07/."+old)
	config.Clock = later{2 * time.Hour}
	q.holds(config, "own leftover tmp/"+old, "hands staged new/07/."+old)
}

// TestNothingIsWaitedFor: a directory of pipes, links and devices is looked at
// like any other, and links lead nowhere.
func TestNothingIsWaitedFor(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	outside := t.TempDir()
	q.must(os.WriteFile(outside+"/file", []byte("x"), 0o600))
	for _, dir := range []string{"", "tmp/", "new/", "new/07/", "info/", "info/07/", "bad/", "bad/unacked/", "lock/"} {
		q.fifo(dir + "pipe")
		q.link(outside, dir+"link")
	}
	const old = "00000000000000000107"
	for _, name := range []string{"new/07/" + old, "new/07/" + old + ".body", "info/07/" + old, "tmp/" + old, "bad/" + old, "bad/" + old + ".body",
		"bad/unacked/" + old, "drop/" + aDrop} {
		q.fifo(name)
	}
	for _, repair := range []bool{false, true} {
		config := q.config()
		config.Repair = repair
		if _, all, _ := q.check(config); len(all) < 20 {
			t.Errorf("repair %t: %d findings", repair, len(all))
		}
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
		t.Errorf("outside: %v, %v", names, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(outside+"/file", &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("outside: %v, %o", err, st.Mode)
	}
}
