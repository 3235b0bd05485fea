package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// fate is what shall become of a message whose files are damaged.
type fate int

const (
	aside    fate = iota // it is in bad/, and a line says so
	unharmed             // the damage says nothing that is needed
	stays                // it stays, a line says so, and a repair lets it go on
)

// damaged is a message that waits, some file of which is damaged.
type damaged struct {
	name  string
	large bool
	harm  func(v victim)
	fate  fate
	mend  func(v victim) // of stays
}

// victim is such a message on its host.
type victim struct {
	h     *testhost.Host
	id    string
	other string // the number of a sound one
}

func (v victim) entry() string { return "/var/qmail/queue/new/" + v.id[18:] + "/" + v.id }
func (v victim) body() string  { return v.entry() + ".body" }
func (v victim) info() string  { return "/var/qmail/queue/info/" + v.id[18:] + "/" + v.id }

// size is that of a file.
func (v victim) size(name string) int64 {
	info, err := os.Stat(v.h.Path(name))
	if err != nil {
		panic(err) // the test's own mistake
	}
	return info.Size()
}

// flip changes one bit of a file, at a part of its size.
func flip(name func(victim) string, part float64) func(victim) {
	return func(v victim) {
		f, err := os.OpenFile(v.h.Path(name(v)), os.O_RDWR, 0)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		at := min(int64(part*float64(v.size(name(v)))), v.size(name(v))-1)
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			panic(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b, at); err != nil {
			panic(err)
		}
	}
}

// cut makes a file end at a part of its size, or so many bytes before its end.
func cut(name func(victim) string, part float64, less int64) func(victim) {
	return func(v victim) {
		if err := os.Truncate(v.h.Path(name(v)), int64(part*float64(v.size(name(v))))-less); err != nil {
			panic(err)
		}
	}
}

// shell runs a command with the names of the victim's files in $entry, $body,
// $info and $sound.
func shell(script string) func(victim) {
	return func(v victim) {
		v.h.Must("sh", "-c", fmt.Sprintf("set -e; entry=%s body=%s info=%s sound=%s\n%s", v.entry(), v.body(), v.info(), victim{id: v.other}.entry(), script))
	}
}

// again takes the place of the file of a victim that was moved away.
const again = "rm -rf $F; mv $F.moved $F"

func instead(file, make string) (harm, mend func(victim)) {
	return shell("F=" + file + "; mv $F $F.moved; " + make), shell("F=" + file + "; " + again)
}

// damages are all that is done to files of messages.
func damages() []damaged {
	entry, body, info := victim.entry, victim.body, victim.info
	list := []damaged{
		{name: "entry cut at half", harm: cut(entry, 0.5, 0)},
		{name: "entry without its last byte", harm: cut(entry, 1, 1)},
		{name: "entry of no length", harm: cut(entry, 0, 0)},
		{name: "entry of a large one cut", large: true, harm: cut(entry, 0.5, 0)},
		{name: "entry that is huge", harm: shell("truncate -s 20G $entry")},
		{name: "entry with a hole", harm: shell("truncate -s 0 $entry; truncate -s 900 $entry")},
		{name: "entry of a later version", harm: shell("sed -i 's/postrider entry 1/postrider entry 2/' $entry"),
			mend: shell("sed -i 's/postrider entry 2/postrider entry 1/' $entry"), fate: stays},
		{name: "entry with more behind it", harm: shell("echo more >> $entry")},
		{name: "entry of another format", harm: shell("cp /bin/true $entry.new; cat $entry.new > $entry; rm $entry.new")},
		{name: "body cut", large: true, harm: cut(body, 0.5, 0)},
		{name: "body of no length", large: true, harm: cut(body, 0, 0)},
		{name: "body that is longer", large: true, harm: shell("echo more >> $body")},
		{name: "body that is missing", large: true, harm: shell("rm $body")},
		{name: "body with a bit changed at the start", large: true, harm: flip(body, 0)},
		{name: "body with a bit changed", large: true, harm: flip(body, 0.5)},
		{name: "body with a bit changed at the end", large: true, harm: flip(body, 1)},
		{name: "progress of no length", harm: cut(info, 0, 0), fate: unharmed},
		{name: "progress without its last byte", harm: cut(info, 1, 1), fate: unharmed},
		{name: "progress that is missing", harm: shell("rm $info"), fate: unharmed},
		{name: "progress of a later version", harm: shell("printf '00000000 Z later\\n00000000 Z later\\n' >> $info"), fate: unharmed},
		{name: "progress that is no text", harm: shell("head -c 5000 /bin/true > $info"), fate: unharmed},
		{name: "progress that is huge", harm: shell("truncate -s 20G $info"), fate: unharmed},
	}
	for _, part := range []float64{0, 0.3, 0.6, 0.9, 1} {
		list = append(list, damaged{name: fmt.Sprintf("entry with a bit changed at %.1f", part), harm: flip(entry, part)},
			damaged{name: fmt.Sprintf("entry of a large one with a bit changed at %.1f", part), large: true, harm: flip(entry, part)},
			damaged{name: fmt.Sprintf("progress with a bit changed at %.1f", part), harm: flip(info, part), fate: unharmed})
	}
	for _, file := range []string{"entry", "body", "info"} {
		for _, c := range [][2]string{
			{"a directory", "mkdir $F"}, {"a directory that is not empty", "mkdir -p $F/x"}, {"a pipe", "mkfifo -m 666 $F"},
			{"a link to a file", "ln -s /etc/passwd $F"}, {"a link to nowhere", "ln -s /nowhere $F"}, {"a link to a sound one", "ln -s $sound $F"},
			{"a device", "mknod -m 666 $F c 1 5"},
		} {
			harm, mend := instead("$"+file, c[1])
			list = append(list, damaged{name: file + " that is " + c[0], large: file == "body", harm: harm, fate: stays, mend: mend})
		}
		for _, c := range [][2]string{
			{"may not be read", "chmod 0 $F"}, {"is root's", "chown root:root $F; chmod 600 $F"},
		} {
			f := "F=$" + file + "; "
			list = append(list, damaged{name: file + " that " + c[0], large: file == "body", harm: shell(f + c[1]), fate: stays,
				mend: shell(f + "if test $F = $info; then chown qmails:qmails $F; else chown qmailq:qmails $F; fi; chmod 640 $F")})
		}
	}
	return list
}

// strange are files that are no messages. Nobody minds them, and they harm
// nothing.
const strange = `set -e; cd /var/qmail/queue
for d in new info; do
	touch $d/00/hello $d/00/.hidden $d/00/123 $d/00/99999999999999999999x
	mkdir $d/01/directory $d/02/00000000000000000102; mkfifo $d/01/pipe; ln -s /etc/passwd $d/01/link
	touch $d/hello $d/03/00000000000000000004   # in a bucket that is not its own
done
touch new/05/00000000000000000105.body; mkdir new/06/00000000000000000106.body
echo orphan > info/07/00000000000000000107; mkdir info/08/00000000000000000108; mkfifo info/09/00000000000000000109
mkdir tmp/directory tmp/00000000000000000111; mkfifo tmp/pipe tmp/00000000000000000112; ln -s /etc/passwd tmp/00000000000000000113
mkdir bad/directory bad/unacked/directory; mkfifo bad/pipe; truncate -s 20G bad/00000000000000000114
mkdir drop/0123456789abcdef0123456789abcdef; mkfifo drop/1123456789abcdef0123456789abcdef; ln -s /etc/passwd drop/2123456789abcdef0123456789abcdef
truncate -s 20G drop/3123456789abcdef0123456789abcdef; touch drop/4123456789abcdef0123456789abcdef drop/hello drop/.hidden
head -c 3000 /bin/true > drop/5123456789abcdef0123456789abcdef
head -c 777 /bin/true > lock/tcpto; echo garbage > lock/spool; echo garbage > lock/sendmutex
mkdir lock/directory; mkfifo lock/pipe
`

// TestDamagedQueue damages files of every kind in every way, of a queue that is
// in use and of one that is not. Nobody stops or hangs, one line says what is
// wrong, sound mail goes on, and what can be mended goes on once it is.
func TestDamagedQueue(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "in use", false: "before the start"}[running], func(t *testing.T) {
			t.Parallel()
			damagedQueue(t, running)
		})
	}
}

func damagedQueue(t *testing.T, running bool) {
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "busy", "sender")
	h.WriteFile("/home/busy/.qmail-default", "|test -e /tmp/open || { echo not now; exit 111; }\n./Maildir/\n", 0o644)
	h.Chown("/home/busy/.qmail-default", "busy")
	h.StartSuite()
	all := damages()
	victims := make([]victim, len(all))
	sound := submitTo(h, "busy-sound", false)
	for i, d := range all {
		victims[i] = victim{h: h, id: submitTo(h, fmt.Sprintf("busy-%d", i), d.large), other: sound}
	}
	h.WaitForLog(0, `^delivery `+fmt.Sprint(len(all)+1)+`: deferral: `)
	if !running {
		h.StopSuite()
	}
	before := h.Daemons()
	first := h.Log().Len()
	for i, d := range all {
		d.harm(victims[i])
	}
	h.Must("sh", "-c", strange)
	if !running {
		h.StartSuite()
		before = h.Daemons()
	} else { // who finds what nobody announced
		h.Must("sh", "-c", "for i in $(seq 0 99); do mkdir -p /tmp/none/new/$(printf %02d $i) /tmp/none/info/$(printf %02d $i); done; /var/qmail/bin/qmail-queuectl import /tmp/none")
	}
	h.Must("touch", "/tmp/open")
	untilAllIsSaid(t, h, all, victims)
	smtpTo(t, h, "alice")
	for i, d := range all {
		if d.fate == stays {
			if _, err := os.Lstat(h.Path(victims[i].entry())); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			d.mend(victims[i])
		}
	}
	settled := func(i int) bool {
		if all[i].fate == aside {
			return isAside(h, victims[i].id)
		}
		return isDone(h, victims[i].id)
	}
	waitFor(t, h, func() bool {
		return !slices.ContainsFunc(indexes(all), func(i int) bool { return !settled(i) })
	})
	for i, d := range all {
		if !settled(i) {
			t.Errorf("%s: not settled, aside %v, done %v:\n%s", d.name, isAside(h, victims[i].id), isDone(h, victims[i].id), linesAbout(h, first, victims[i].id))
		}
		if d.fate != unharmed && !complains(h, first, victims[i].id) {
			t.Errorf("%s: no line says what is wrong:\n%s", d.name, linesAbout(h, first, victims[i].id))
		}
	}
	if !isDone(h, sound) {
		t.Error("the sound one is not delivered")
	}
	smtpTo(t, h, "alice")
	if changed := gone(before, h.Daemons()); len(changed) > 0 {
		t.Errorf("daemons that ended: %v\n%s", changed, h.Log().Timed(first))
	}
}

func indexes[T any](list []T) []int {
	n := make([]int, len(list))
	for i := range n {
		n[i] = i
	}
	return n
}

// submitTo sends a message to somebody who waits, and returns its number.
func submitTo(h *testhost.Host, to string, large bool) string {
	first := h.Log().Len()
	text := letter(to, "x")
	if large {
		text += strings.Repeat(strings.Repeat("x", 70)+"\n", 2000)
	}
	sendmail(h, "sender", []string{to}, text)
	return h.WaitForLog(first, `^new msg (\d+)$`)[1]
}

func smtpTo(t *testing.T, h *testhost.Host, user string) {
	t.Helper()
	box := h.Maildir(user)
	n := len(box.Messages())
	if err := smtp(testhost.Within(t, soon), h, h, "s@x.example", []string{user + "@mx1.example"}, letter(user, "sound")); err != nil {
		t.Fatal(err)
	}
	box.Wait(testhost.Within(t, soon), n+1)
}

// untilAllIsSaid has everything tried until all that can be said was said.
func untilAllIsSaid(t *testing.T, h *testhost.Host, all []damaged, victims []victim) {
	t.Helper()
	waitFor(t, h, func() bool {
		for i, d := range all {
			if d.fate == unharmed && !isDone(h, victims[i].id) || d.fate != unharmed && !complains(h, 0, victims[i].id) {
				return false
			}
		}
		return true
	})
}

// waitFor has everything tried, again and again, until done; it gives up
// silently: whoever looks afterwards says more.
func waitFor(t *testing.T, h *testhost.Host, done func() bool) {
	t.Helper()
	for ctx := testhost.Within(t, soon); ctx.Err() == nil && !done(); {
		if err := h.Suite().Signal(syscall.SIGALRM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func isAside(h *testhost.Host, id string) bool {
	found, err := filepath.Glob(h.Path("/var/qmail/queue/bad") + "/" + id)
	return err == nil && len(found) == 1
}

func isDone(h *testhost.Host, id string) bool { return count(h, 0, "end msg "+id) > 0 }

var damageLine = regexp.MustCompile(`(alert|warning): `)

// complains reports whether a warning or an alert names a message.
func complains(h *testhost.Host, first int, id string) bool {
	for _, line := range h.Log().Lines(first) {
		if strings.Contains(line.Text, id) && damageLine.MatchString(line.Text) {
			return true
		}
	}
	return false
}

func linesAbout(h *testhost.Host, first int, id string) string {
	var b strings.Builder
	for _, line := range h.Log().Lines(first) {
		if strings.Contains(line.Text, id) {
			b.WriteString("  " + line.Text + "\n")
		}
	}
	return b.String()
}

// gone returns the daemons that are no more; workers of users come and go.
func gone(before, after []testhost.ProcessInfo) (names []string) {
	for _, p := range before {
		if p.Name != "qmail-local" && !slices.ContainsFunc(after, func(q testhost.ProcessInfo) bool { return q.PID == p.PID }) {
			names = append(names, p.Name)
		}
	}
	return names
}
