package scenario

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/internal/logread"
	"postrider/internal/testhost"
)

// storyLog has a suite log what one message can meet: a client whose first
// recipient is refused, a mailbox and a forward; and another one that bounces,
// since this host does not take what it routes to itself. It returns the number
// of the first.
func storyLog(t *testing.T, h *testhost.Host) string {
	t.Helper()
	h.WriteFile("/home/bob/.qmail", "&alice@mx1.example\n", 0o644)
	h.Chown("/home/bob/.qmail", "bob")
	h.Control("smtproutes", "gone.example:["+h.IP.String()+"]")
	h.StartSuite()
	first := h.Log().Len()
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Command("MAIL FROM:<alice@mx1.example>", 2); err != nil {
		t.Fatal(err)
	}
	if code := rcptCode(t, c, "nobody@mx1.example"); code != 550 {
		t.Errorf("nobody: %d", code)
	}
	c.Close()
	if err := smtp(testhost.Within(t, soon), h, h, "alice@mx1.example", []string{"alice@mx1.example", "bob@mx1.example"}, letter("all", "story")); err != nil {
		t.Fatal(err)
	}
	h.WaitForLog(first, `^starting delivery \d+: msg \d+ to local bob@`)
	sendmail(h, "alice", []string{"z@gone.example"}, letter("z", "away"))
	h.WaitForLog(first, `^bounce msg \d+ qp \d+$`)
	if err := h.WaitForEmptyQueue(testhost.Within(t, soon)); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`id=(\d+)`).FindStringSubmatch(h.WaitForLog(first, `qmail-smtpd: accepted .* id=\d+`)[0])[1]
}

// Every line that qmail-send logs is one that internal/logread knows, and
// qmail-trace tells the story of a message from its client to its mailboxes.
func TestLogTellsStories(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	id := storyLog(t, h)
	h.StopSuite()
	log := h.Log().Text(0)
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		if l := logread.Parse(line); l.Program == "" {
			t.Errorf("a line that nobody understands: %q", line)
		}
	}
	tell := func(what string) string {
		return h.MustRun(testhost.Command{Argv: []string{"/var/qmail/bin/qmail-trace", what, "-"}, Stdin: log})
	}
	for what, wanted := range map[string][]string{
		id: {
			`(?s)^qmail-smtpd: connect .*` + id + `: queued: .*` + id + `: delivered to alice@mx1.example: did 1`,
			`qmail-smtpd: accepted .*from=alice@mx1.example rcpts=2 .*id=` + id,
			`delivered to bob@mx1.example: did 0\+1\+0/qp \d+\n`, `(?m)^  => \d+ to alice@mx1.example: delivered`,
		},
		"nobody@mx1.example": {`qmail-smtpd: refused .*command=RCPT_TO:<nobody@mx1.example>`, `qmail-smtpd: end `},
		"z@gone.example":     {`put off for z@gone.example|failed for z@gone.example`, `the sender is told of the failure, by message`, `delivered to alice@mx1.example`},
	} {
		out := tell(what)
		for _, pattern := range wanted {
			if !regexp.MustCompile(pattern).MatchString(out) {
				t.Errorf("%s: no %s in\n%s", what, pattern, out)
			}
		}
		if what == id && strings.Contains(out, "gone.example") {
			t.Errorf("%s: the story of another message:\n%s", what, out)
		}
	}
}

// With json in control/logformat all lines are objects, whether or not there is
// a logger; a logger that dies loses none but its own.
func TestLogInJSON(t *testing.T) {
	t.Parallel()
	for name, logger := range map[string][]string{"alone": {}, "before a logger": {"sed", "-u", "s/^/logged: /"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
			h.Control("logformat", "json")
			h.StartSuiteWith(append([]string{"./Maildir/"}, logger...)...)
			first := h.Log().Len()
			sendmail(h, "alice", []string{"alice"}, letter("alice", "json"))
			h.WaitForLog(first, `"program":"qmail-send","event":"end","msg":"\d+"`)
			h.StopSuite()
			objects := 0
			for _, line := range strings.Split(strings.TrimSuffix(h.Log().Text(0), "\n"), "\n") {
				line, found := strings.CutPrefix(line, "logged: ")
				if strings.HasPrefix(line, "qmail-start: ") && !found {
					continue // of before there is a logger, or of when there is none any more
				}
				var object struct {
					Time  time.Time
					Event string
				}
				if err := json.Unmarshal([]byte(line), &object); err != nil || object.Event == "" || object.Time.IsZero() || found != (len(logger) > 0) {
					t.Errorf("%q: %v", line, err)
				}
				objects++
			}
			if objects < 10 {
				t.Errorf("%d objects:\n%s", objects, h.Log().Text(0))
			}
		})
	}
}
