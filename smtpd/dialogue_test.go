package smtpd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hello is how most dialogues begin; a script that needs no more starts there.
const hello = "S: 220 mx.example.org ESMTP\nC: EHLO client.example.net\nS: 250-*\n"

// transaction gets a session to where DATA is the next command.
const transaction = hello + `
	C: MAIL FROM:<joe@example.net>
	S: 250 2.1.0 ok
	C: RCPT TO:<jim@example.com>
	S: 250 2.1.5 ok
`

// bye ends a session.
const bye = "\nC: QUIT\nS: 221 2.0.0 mx.example.org\nS: <end>\n"

// macros are the words of testdata/dialogues that stand for lines.
var macros = map[string]string{
	"hello": hello,
	"mail":  "C: MAIL FROM:<joe@example.net>\nS: 250 2.1.0 ok\n",
	"rcpt":  "C: RCPT TO:<jim@example.com>\nS: 250 2.1.5 ok\n",
	"begin": transaction,
	"data":  "C: DATA\nS: 354 go ahead\n",
	"quit":  bye,
	"end":   "S: <end>\n",
}

// dialogue is a session over TCP with the daemon, and what the spool got.
type dialogue struct {
	name   string
	where  string // file and line
	files  map[string]string
	users  map[string]string // who can log in
	words  []string          // of the port
	script string
	queued []string
	judged bool // queued was said
}

// fewestDialogues keeps the suite from being lost with a file.
const fewestDialogues = 300

// TestDialogues runs testdata/dialogues, a file a topic; README there says how
// to read them. Each has a daemon and a spool of its own.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		cases := readDialogues(t, file)
		count += len(cases)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runDialogues(t, cases)
		})
	}
	t.Logf("%d dialogues", count)
	if count < fewestDialogues {
		t.Errorf("%d dialogues, at least %d are expected", count, fewestDialogues)
	}
}

func runDialogues(t *testing.T, cases []dialogue) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, c.files)
			if c.users != nil {
				h.giveUsers(c.users)
			}
			if c.words != nil || c.users != nil {
				h.listenAs(c.words...)
			}
			client := h.dial()
			client.play(c.script)
			client.conn.Close()
			h.stop()
			var got []string
			for _, m := range h.spool.messages() {
				got = append(got, m.String())
			}
			if !slices.Equal(got, c.queued) {
				t.Errorf("queued:\n%s\nwant:\n%s", shortened(got), shortened(c.queued))
			}
			if used := h.d.lent.used.Load(); used != 0 {
				t.Errorf("%d octets are still lent", used)
			}
			if t.Failed() {
				t.Logf("%s, log:\n%s", c.where, h.log)
			}
		})
	}
}

// shortened is what a failed test shows of messages.
func shortened(messages []string) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "  %.300s (%d octets)\n", m, len(m))
	}
	return b.String()
}

// readDialogues reads a file of dialogues.
func readDialogues(t *testing.T, file string) []dialogue {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []dialogue
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		where := fmt.Sprintf("%s:%d", file, number)
		name, isName := strings.CutPrefix(line, "== ")
		switch {
		case isName:
			all = append(all, dialogue{name: name, where: where, files: map[string]string{}})
		case line == "", strings.HasPrefix(line, "#"):
		case len(all) == 0:
			t.Fatalf("%s: no dialogue has begun", where)
		default:
			if err := all[len(all)-1].add(line); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		}
	}
	for _, d := range all {
		if !d.judged {
			t.Errorf("%s: %q does not say what is queued", d.where, d.name)
		}
	}
	return all
}

// add takes a line of a dialogue.
func (d *dialogue) add(line string) error {
	line = expand(line)
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "control":
		name, text, _ := strings.Cut(rest, " ")
		value, err := strconv.Unquote(text)
		d.files[name] = value
		return err
	case word == "user":
		name, password, _ := strings.Cut(rest, " ")
		if d.users == nil {
			d.users = make(map[string]string)
		}
		d.users[name] = password
		return nil
	case word == "port":
		d.words = strings.Fields(rest)
		return nil
	case word == "queued":
		if rest != "nothing" {
			d.queued = append(d.queued, rest)
		}
		d.judged = true
		return nil
	case d.judged:
		return fmt.Errorf("%q behind what is queued", line)
	}
	times := 1
	if n, err := strconv.Atoi(strings.TrimPrefix(word, "x")); err == nil && word[0] == 'x' {
		times, line = n, rest
	}
	lines, isMacro := macros[line]
	if !isMacro {
		lines = line + "\n"
		if command, reply, both := strings.Cut(line, " => "); both {
			lines = command + "\nS: " + reply + "\n"
		}
	}
	d.script += strings.Repeat(lines, times)
	return nil
}

// repeated is {TEXT*N} in a dialogue: N times the text.
var repeated = regexp.MustCompile(`\{([^{}*]+)\*(\d+)\}`)

// expand works from the inside out.
func expand(line string) string {
	for repeated.MatchString(line) {
		line = expandOnce(line)
	}
	return line
}

func expandOnce(line string) string {
	return repeated.ReplaceAllStringFunc(line, func(s string) string {
		parts := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[2]) // digits, as the expression has it
		return strings.Repeat(parts[1], n)
	})
}
