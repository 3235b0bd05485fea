package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// movedClock stands at a time.
type movedClock struct {
	clock.Clock
	now time.Time
}

func (c movedClock) Now() time.Time { return c.now }

// away is a user who is, and a queue that keeps what it gets.
type away struct {
	t     *testing.T
	dir   string
	queue string
	now   time.Time
}

func newAway(t *testing.T) *away {
	t.Helper()
	a := &away{t: t, dir: t.TempDir(), now: time.Now()}
	_, a.queue = queue(t, 0)
	a.write("text", "I am away.\n")
	return a
}

func (a *away) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// answer runs the program on a message and returns its exit code and what was
// queued: nothing, or the envelope and the message.
func (a *away) answer(sender, message string, options ...string) (code int, envelope, text string) {
	a.t.Helper()
	a.write("in", message)
	in, err := os.Open(a.dir + "/in")
	if err != nil {
		a.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(a.dir+"/out", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	defer out.Close()
	args := append([]string{responder}, options...)
	code = AutoResponder(world.World{
		Args: append(args, a.dir+"/text", a.dir+"/memory"), Stdin: in, Stdout: out, Stderr: out, Home: a.dir, Clock: movedClock{clock.Real(), a.now},
		Environ: []string{"PATH=/usr/bin:/bin", "QMAILQUEUE=" + a.queue + "/queue", "SENDER=" + sender, "RECIPIENT=joe@example.com"},
	})
	if _, err := os.Stat(a.queue + "/message"); err != nil {
		return code, "", ""
	}
	envelope, text = read(a.t, a.queue+"/envelope"), read(a.t, a.queue+"/message")
	for _, name := range []string{"envelope", "message"} {
		if err := os.Remove(a.queue + "/" + name); err != nil {
			a.t.Fatal(err)
		}
	}
	return code, envelope, text
}

const question = "From: Sam <sam@x.org>\nTo: Joe <joe@example.com>\nSubject: lunch?\nMessage-ID: <1@x.org>\nReferences: <0@x.org>\n\nTomorrow?\n"

func TestAnswer(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	code, envelope, text := a.answer("sam@x.org", question)
	if code != 0 || envelope != "F\x00Tsam@x.org\x00\x00" {
		t.Errorf("%d, envelope %q", code, envelope)
	}
	for _, want := range []string{
		"From: joe@example.com\n", "To: sam@x.org\n", "Subject: Auto: lunch?\n", "In-Reply-To: <1@x.org>\n", "References: <0@x.org> <1@x.org>\n",
		"Auto-Submitted: auto-replied\n", "Content-Type: text/plain; charset=utf-8\n", "\n\nI am away.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer has no %q:\n%s", want, text)
		}
	}
}

func TestWhoIsAnswered(t *testing.T) {
	t.Parallel()
	with := func(field string) string { return field + "\n" + question }
	for _, c := range []struct {
		name, sender, message string
		options               []string
		answered              bool
	}{
		{"a person", "sam@x.org", question, nil, true},
		{"Auto-Submitted: no", "sam@x.org", with("Auto-Submitted: No"), nil, true},
		{"in Cc", "sam@x.org", "To: amy@x.org\nCc: amy@x.org,\n \"J. D.\" <Joe@Example.COM>\n\n", nil, true},
		{"another own address", "sam@x.org", "To: info@example.com\n\n", []string{"-a", "a@b.c", "-a", "Info@example.com"}, true},
		{"resent", "sam@x.org", "To: amy@x.org\nResent-To: joe@example.com\n\n", nil, true},
		{"a bounce", "", question, nil, false},
		{"a double bounce", "#@[]", question, nil, false},
		{"no domain", "sam", question, nil, false},
		{"no address", "sam\r\nBcc: amy@x.org", question, nil, false},
		{"himself", "JOE@example.com", question, nil, false},
		{"himself elsewhere", "info@example.com", question, []string{"-a", "info@example.com"}, false},
		{"MAILER-DAEMON", "MAILER-DAEMON@x.org", question, nil, false},
		{"the owner of a list", "owner-list@x.org", question, nil, false},
		{"the owner of a list at its end", "list-owner@x.org", question, nil, false},
		{"VERP", "list-owner-joe=example.com@x.org", question, nil, false},
		{"ezmlm", "list-return-5-joe=example.com@x.org", question, nil, false},
		{"mailman", "list-bounces+joe=example.com@x.org", question, nil, false},
		{"requests of a list", "list-request@x.org", question, nil, false},
		{"noreply", "No-Reply@x.org", question, nil, false},
		{"Auto-Submitted", "sam@x.org", with("Auto-Submitted: auto-replied (vacation)"), nil, false},
		{"Auto-Submitted, one of two", "sam@x.org", with("Auto-Submitted: auto-generated\nAuto-Submitted: no"), nil, false},
		{"Precedence: bulk", "sam@x.org", with("Precedence: bulk"), nil, false},
		{"Precedence: list", "sam@x.org", with("precedence:  LIST"), nil, false},
		{"Precedence: junk", "sam@x.org", with("PRECEDENCE: junk"), nil, false},
		{"Precedence: first-class", "sam@x.org", with("Precedence: first-class"), nil, true},
		{"List-Id", "sam@x.org", with("List-Id: <l.x.org>"), nil, false},
		{"List-Unsubscribe", "sam@x.org", with("List-Unsubscribe: <mailto:x@x.org>"), nil, false},
		{"Mailing-List", "sam@x.org", with("Mailing-List: contact x; run by ezmlm"), nil, false},
		{"spam", "sam@x.org", with("X-Spam-Flag: YES"), nil, false},
		{"a report", "sam@x.org", with("Content-Type: multipart/report; boundary=x"), nil, false},
		{"not in To", "sam@x.org", "To: amy@x.org\n\njoe@example.com\n", nil, false},
		{"no To", "sam@x.org", "Subject: x\n\n", nil, false},
		{"another with the same name", "sam@x.org", "To: joe@example.org\n\n", nil, false},
		{"in a comment of To", "sam@x.org", "To: amy@x.org (joe@example.com)\n\n", nil, false},
		{"in a phrase of To", "sam@x.org", "To: \"joe@example.com\" <amy@x.org>\n\n", nil, false},
		{"a header without an end", "sam@x.org", "To: joe@example.com\n" + strings.Repeat("X: y\n", maxHead/5), nil, false},
		{"a header of one line without its end", "sam@x.org", "To: joe@example.com", nil, true},
		{"no header", "sam@x.org", "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, envelope, text := newAway(t).answer(c.sender, c.message, c.options...)
			if code != 0 || (envelope != "") != c.answered {
				t.Errorf("%d, %q, %s", code, envelope, text)
			}
		})
	}
}

func TestOneAnswerInAWhile(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	for _, c := range []struct {
		name, sender string
		after        time.Duration
		options      []string
		answered     bool
	}{
		{"the first", "sam@x.org", 0, nil, true},
		{"the second", "sam@x.org", time.Hour, nil, false},
		{"in other letters", "SAM@x.org", time.Hour, nil, false},
		{"somebody else", "amy@x.org", time.Hour, nil, true},
		{"a name that is a way", "../../x@x.org", time.Hour, nil, true},
		{"the same way", "../../x@x.org", time.Hour, nil, false},
		{"a long name", strings.Repeat("x", 400) + "@x.org", time.Hour, nil, true},
		{"a name that is as long", strings.Repeat("x", 400) + "@y.org", time.Hour, nil, true},
		{"after an hour of two", "sam@x.org", time.Hour, []string{"-i", "7200"}, false},
		{"after an hour of one", "sam@x.org", time.Hour, []string{"-i", "3600"}, true},
		{"a week later", "sam@x.org", 9 * 24 * time.Hour, nil, true},
		{"at once", "sam@x.org", 9 * 24 * time.Hour, nil, false},
	} {
		begun := a.now
		a.now = begun.Add(c.after)
		code, envelope, _ := a.answer(c.sender, question, c.options...)
		if code != 0 || (envelope != "") != c.answered {
			t.Errorf("%s: %d, %q", c.name, code, envelope)
		}
		a.now = begun
	}
	outside, err := filepath.Glob(filepath.Join(filepath.Dir(a.dir), "*x.org*"))
	if err != nil || len(outside) > 0 {
		t.Errorf("outside: %q, %v", outside, err)
	}
}

func TestAnsweredAreBounded(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	if err := os.Mkdir(a.dir+"/memory", 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range maxAnswered {
		a.write(fmt.Sprintf("memory/to:%d@x.org", i), "")
	}
	if _, envelope, _ := a.answer("sam@x.org", question); envelope != "" {
		t.Error("one too many is answered")
	}
	old := a.now.Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(a.dir+"/memory/to:77@x.org", old, old); err != nil {
		t.Fatal(err)
	}
	if _, envelope, _ := a.answer("sam@x.org", question); envelope == "" {
		t.Error("not answered though the time of another is over")
	}
}

func TestOwnFields(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	a.write("text", "From: Joe <joe@example.com>\nSubject: away\nContent-Type: text/plain;\n charset=iso-8859-1\nAuto-Submitted: no\n\nAway.")
	_, _, text := a.answer("sam@x.org", question)
	for field, n := range map[string]int{"From: ": 1, "Subject: away\n": 1, "Subject: Auto": 0, "Content-Type: ": 1, "utf-8": 0, "Auto-Submitted: auto-replied\n": 1, "\n\nAway.\n": 1} {
		if got := strings.Count(text, field); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", field, got, n, text)
		}
	}
	a = newAway(t)
	a.write("text", "Note: I am away\nuntil May.\n\nJoe\n")
	if _, _, text := a.answer("sam@x.org", question); !strings.Contains(text, "\n\nNote: I am away\nuntil May.\n\nJoe\n") {
		t.Errorf("a text that looks like a field:\n%s", text)
	}
}

// What a stranger writes makes no fields of its own.
func TestAnswerHoldsNoFieldsOfStrangers(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	_, _, text := a.answer("\"sam x\"@x.org", "To: joe@example.com\nSubject: "+strings.Repeat("y", 2000)+"\n\tz\r\n\rBcc: q\nMessage-ID: <"+strings.Repeat("i", 2000)+">\n\n")
	for line := range strings.Lines(text) {
		if len(line) > 998 || strings.Contains(line, "\r") || strings.HasPrefix(line, "Bcc") {
			t.Errorf("line %.100q", line)
		}
	}
}

func TestAutoResponderTrouble(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	if err := os.Remove(a.dir + "/text"); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := a.answer("sam@x.org", question); code != 111 {
		t.Errorf("without a text: %d", code)
	}
	a = newAway(t)
	a.write("memory", "no directory")
	if code, _, _ := a.answer("sam@x.org", question); code != 111 {
		t.Errorf("without a memory: %d", code)
	}
	for queueExit, want := range map[int]int{31: 0, 53: 111} {
		a := newAway(t)
		_, refusing := queue(t, queueExit)
		a.queue = refusing
		if code, _, _ := a.answer("sam@x.org", question); code != want {
			t.Errorf("the queue exits %d: %d, want %d", queueExit, code, want)
		}
		_, a.queue = queue(t, 0)
		if _, envelope, _ := a.answer("sam@x.org", question); envelope == "" {
			t.Errorf("the queue exited %d: nobody is answered later", queueExit)
		}
	}
}
