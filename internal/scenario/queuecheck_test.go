package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// checkQueue runs qmail-queuectl check, and returns its exit code and output.
func checkQueue(t *testing.T, h *testhost.Host, user string, args ...string) (code int, out string) {
	t.Helper()
	r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl", "check"}, args...), User: user})
	if err != nil {
		t.Fatal(err)
	}
	return r.Code, r.Stdout + r.Stderr
}

// TestQueueCheckUnderLoad: what a suite at work has for moments alarms nobody, and
// mail goes on meanwhile.
func TestQueueCheckUnderLoad(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "busy", "carol")
	h.WriteFile("/home/busy/.qmail-default", "|test -e /tmp/open || { echo not now; exit 111; }\n./Maildir/\n", 0o644)
	h.WriteFile("/home/carol/.qmail", "./Mailbox\n", 0o644)
	h.Chown("/home/busy/.qmail-default", "busy")
	h.Chown("/home/carol/.qmail", "carol")
	h.Control("rcpthosts", "mx1.example")
	if code, out := checkQueue(t, h, "root"); code != 0 {
		t.Fatalf("an empty queue that was never used: exit %d\n%s", code, out)
	}
	h.StartSuite()
	const clients, each = 4, 40
	large := strings.Repeat(strings.Repeat("x", 70)+"\n", 1500)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for n := range each {
				to := []string{"alice@mx1.example", fmt.Sprintf("busy-%d@mx1.example", n), "carol@mx1.example"}[:1+n%3]
				text := letter("alice", fmt.Sprint(client, " ", n))
				if n%4 == 0 {
					text += large
				}
				if err := smtp(testhost.Within(t, soon), h, h, "s@x.example", to, text); err != nil {
					t.Errorf("client %d: %v", client, err)
					return
				}
			}
		})
	}
	sent := make(chan struct{})
	go func() { all.Wait(); close(sent) }()
	looks := 0
	for over := false; !over; looks++ {
		select {
		case <-sent:
			over = true // and once more
		default:
		}
		if code, out := checkQueue(t, h, "root"); code != 0 {
			t.Errorf("look %d: exit %d\n%s", looks, code, out)
		}
	}
	t.Logf("%d looks while %d messages came", looks, clients*each)
	if code, out := checkQueue(t, h, "alice"); code != 111 || !strings.Contains(out, "run this as root") {
		t.Errorf("as alice: exit %d\n%s", code, out)
	}
	if code, out := checkQueue(t, h, "root", "--repair"); code != 111 || !strings.Contains(out, "stop it first") {
		t.Errorf("repair of a queue in use: exit %d\n%s", code, out)
	}
	h.Maildir("alice").Wait(testhost.Within(t, soon), clients*each)
	h.StopSuite()
	if code, out := checkQueue(t, h, "root"); code != 0 || !strings.Contains(out, "the queue is sound") {
		t.Errorf("stopped: exit %d\n%s", code, out)
	}
	h.Must("touch", "/tmp/open")
	h.StartSuite()
	waitFor(t, h, func() bool { return len(h.Queue()) == 0 })
	if code, out := checkQueue(t, h, "root"); code != 0 || len(h.Queue()) > 0 {
		t.Errorf("empty: exit %d\n%s", code, out)
	}
	h.StopSuite()
}

// part is what a restore puts back of copies that were made at two moments.
type part struct {
	name  string
	new   int    // of which copy new/ is
	info  int    // of which copy info/ is
	then  string // what is done to it: $q is the queue
	code  int    // of the check
	whole int    // messages that are delivered behind --repair; -1: it depends
	torn  bool   // there are entries that are not whole
}

// parts are what is put back.
var parts = []part{
	{"all of one moment", 0, 0, "", 0, 12, false},
	{"progress is older", 1, 0, "", 0, 18, false},
	{"progress is newer", 0, 1, "", 1, 12, false},
	{"no progress", 0, 0, "find $q/info -type f -delete", 0, 12, false},
	{"progress alone", 0, 0, "find $q/new -type f -delete", 1, 0, false},
	{"no large bodies", 0, 0, "find $q/new -name '*.body' -delete", 2, 4, true},
	{"large bodies alone", 0, 1, "find $q/new -type f -not -name '*.body' -delete", 1, 0, false},
	{"half of the directories", 1, 1, "rm -rf $q/new/?[13579] $q/info/?[2468]", 2, -1, false},
	{"owners and modes are lost", 0, 0, "chown -R root:root $q/new $q/info; find $q/new $q/info -type f -exec chmod 666 {} +; chmod 755 $q/new $q/new/* $q/info $q/info/*", 2, 12, false},
	{"files that end early", 0, 0, "for f in $(find $q/new -type f | head -n 4); do truncate -s -9 $f; done", 2, -1, true},
	{"some files of each kind", 1, 1, "for d in new info; do for f in $(find $q/$d -type f | sort | awk 'NR % 3 == 1'); do rm $f; done; done", 2, -1, true},
	{"in the wrong directories", 0, 0, "f=$(find $q/new -type f | head -n 1); mv $(dirname $f)/* $q/new/99; touch $q/new/99/strange", 2, 12, false},
}

// restored is a host on which copies are put back.
type restored struct {
	*testhost.Host
	copies [2]string
	texts  map[string]string // of messages, by their numbers
}

// TestPartialRestore makes two copies of a queue in use, directory by directory,
// and puts parts of them back. The checker says what is wrong, --repair does what is
// safe, the suite starts, and every message that was there in whole is delivered;
// what is left of others is kept.
func TestPartialRestore(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "busy", "sender")
	h.WriteFile("/home/busy/.qmail-default", "|test -e /tmp/open || { echo not now; exit 111; }\n./Maildir/\n", 0o644)
	h.Chown("/home/busy/.qmail-default", "busy")
	h.StartSuite()
	r := &restored{Host: h, copies: [2]string{"/var/copy0", "/var/copy1"}, texts: make(map[string]string)}
	r.fill(0, 12)
	r.copy(0)
	r.fill(12, 6)
	r.copy(1)
	h.StopSuite()
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { r.part(t, p) })
	}
}

// fill queues messages to alice, who gets them, and to busy, who does not.
func (r *restored) fill(first, n int) {
	for i := first; i < first+n; i++ {
		from := r.Log().Len()
		text, _ := ledger.Compose(fmt.Sprintf("m%d", i), "sender@mx1.example", "busy@mx1.example", 800+i%3*70_000)
		sendmail(r.Host, "sender", []string{"alice@mx1.example", fmt.Sprintf("busy-%d@mx1.example", i)}, text)
		id := r.WaitForLog(from, `^new msg (\d+)$`)[1]
		r.WaitForLog(from, `^delivery \d+: deferral: `)
		r.texts[id] = fmt.Sprintf("m%d", i)
	}
}

// copy copies the queue while it is in use.
func (r *restored) copy(n int) {
	r.Must("sh", "-ec", fmt.Sprintf("mkdir %s; for d in new info; do cp -a /var/qmail/queue/$d %[1]s/; done", r.copies[n]))
}

const queueDir = "/var/qmail/queue"

// part puts parts of the copies back.
func (r *restored) part(t *testing.T, p part) {
	r.Must("sh", "-ec", fmt.Sprintf(`q=%s; rm -rf $q/new $q/info; cp -a %s/new %s/info $q/
find $q/bad $q/tmp -type f -delete; rm -f /tmp/open; rm -rf /home/alice/Maildir/new/* /home/busy/Maildir/new/*
%s`, queueDir, r.copies[p.new], r.copies[p.info], p.then))
	before := r.files(t)
	code, out := checkQueue(t, r.Host, "root")
	if code != p.code {
		t.Errorf("exit %d, want %d\n%s", code, p.code, out)
	}
	if after := r.files(t); !slices.Equal(before, after) {
		t.Errorf("a check that repairs nothing has changed the queue:\n%v\nthen\n%v", before, after)
	}
	if code, out := checkQueue(t, r.Host, "root", "--repair"); code == 111 {
		t.Errorf("repair: exit %d\n%s", code, out)
	}
	if after := r.files(t); len(after) != len(before) {
		t.Errorf("repair has made %d files of %d:\n%v\nthen\n%v", len(after), len(before), before, after)
	}
	whole, pieces := r.account()
	t.Logf("after --repair: %d messages are whole, of %d there are pieces", len(whole), len(pieces))
	if p.whole >= 0 && len(whole) != p.whole {
		t.Errorf("%d messages are whole, want %d", len(whole), p.whole)
	}
	first := r.Log().Len()
	r.Must("touch", "/tmp/open")
	r.StartSuite()
	waitFor(t, r.Host, func() bool { return len(r.Queue()) == 0 })
	r.StopSuite()
	if left := r.Queue(); len(left) > 0 {
		t.Errorf("in the queue is still %v\n%s", left, r.Log().Timed(first))
	}
	if aside := count(r.Host, first, "alert: "); aside > 0 != p.torn {
		t.Errorf("%d alerts:\n%s", aside, r.Log().Timed(first))
	}
	var got []string
	for _, m := range r.Maildir("busy").Messages() {
		id, _ := ledger.Identify(m.Text)
		got = append(got, id)
	}
	for _, id := range whole {
		if !slices.Contains(got, r.texts[id]) {
			t.Errorf("message %s (%s) was whole, and busy does not have it\n%s", id, r.texts[id], r.Log().Timed(first))
		}
	}
	for _, id := range pieces {
		if found, err := filepath.Glob(r.Path(queueDir) + "/*/" + id + "*"); err != nil || len(found) == 0 {
			if found, err = filepath.Glob(r.Path(queueDir) + "/*/*/" + id + "*"); err != nil || len(found) == 0 {
				t.Errorf("what there was of message %s is gone", id)
			}
		}
	}
	if code, out := checkQueue(t, r.Host, "root"); len(pieces) == 0 && p.code < 2 && code != 0 {
		t.Errorf("at the end: exit %d\n%s", code, out)
	}
}

// files are those of the queue, but for locks and sockets.
func (r *restored) files(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"new", "info", "bad", "tmp"} {
		err := filepath.WalkDir(r.Path(queueDir+"/"+dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "answered" {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// account divides the messages of which there is something into those that are
// whole in new/, and others.
func (r *restored) account() (whole, pieces []string) {
	for id, text := range r.texts {
		entry := r.Path(queueDir + "/new/" + id[18:] + "/" + id)
		content, err := os.ReadFile(entry)
		body, bodyErr := os.ReadFile(entry + ".body")
		inside := strings.Contains(string(content), text+" ends after ")
		outside := bodyErr == nil && strings.Contains(string(body), text+" ends after ") && strings.HasSuffix(string(body), " bytes\n")
		found, _ := filepath.Glob(r.Path(queueDir) + "/bad/*" + id + "*")
		more, _ := filepath.Glob(r.Path(queueDir) + "/*/*/" + id + "*")
		switch {
		case err == nil && strings.HasSuffix(string(content), "\n") && strings.Contains(string(content), "postrider entry ") && (inside || outside):
			whole = append(whole, id)
		case len(found)+len(more) > 0:
			pieces = append(pieces, id)
		}
	}
	slices.Sort(whole)
	slices.Sort(pieces)
	return whole, pieces
}
