package qmailremote

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
)

// fewestDeliveries keeps the suite from being lost with a file.
const fewestDeliveries = 120

// TestDeliveries plays testdata/deliveries, a file a topic; README there says
// how to read them.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/deliveries/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		topic := strings.TrimSuffix(filepath.Base(file), ".txt")
		for _, c := range readDeliveries(t, file) {
			count++
			t.Run(topic+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.play(t)
			})
		}
	}
	t.Logf("%d deliveries", count)
	if count < fewestDeliveries {
		t.Errorf("%d deliveries, at least %d are expected", count, fewestDeliveries)
	}
}

// deliveryCase is one case of a topic.
type deliveryCase struct {
	name     string
	zone     []string
	failing  [][3]string // name, type, rcode
	own      []string
	control  map[string]string
	private  map[string]string
	wait     time.Duration
	dead     []string
	order    []string // of the peers
	peers    map[string][]script
	sendings []*sending
	dialed   string
}

// sending is one message and what must come of it.
type sending struct {
	from, domain, message string
	to                    []string
	utf8                  bool
	quick                 time.Duration // it takes no longer; 0: it may
	reports               []string
}

// macros are lines that stand for others.
var macros = map[string]string{
	"greet":  "S: 220 peer ESMTP",
	"hello":  "greet\nC: EHLO me.example.org => 250-peerEXTENSIONS",
	"helo":   "greet\nC: EHLO me.example.org => 502 what\nC: HELO me.example.org => 250 peer",
	"mail":   "C: MAIL FROM:<s@x.example> => 250 ok",
	"rcpt":   "C: RCPT TO:<r@d.example> => 250 ok",
	"data":   "C: DATA => 354 go",
	"text":   "D: Subject: x||hello",
	"queued": "S: 250 queued",
	"quit":   "C: QUIT => 221 bye",
	"begin":  "hello\nmail\nrcpt",
	"mailed": "begin\ndata\ntext",
	"takes":  "mailed\nqueued\nquit",
}

func readDeliveries(t *testing.T, file string) (cases []*deliveryCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for number, line := range strings.Split(string(text), "\n") {
		line = repeated.ReplaceAllStringFunc(line, repeat)
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case begins:
			cases = append(cases, newDeliveryCase(name))
		case line == "" || line[0] == '#':
		case len(cases) == 0:
			t.Fatalf("%s:%d: before the first case", file, number+1)
		default:
			if err := cases[len(cases)-1].line(line); err != nil {
				t.Fatalf("%s:%d: %v", file, number+1, err)
			}
		}
	}
	return cases
}

var repeated = regexp.MustCompile(`\{[^{}]*\*[0-9]+\}`)

func repeat(s string) string {
	text, count, _ := strings.Cut(strings.Trim(s, "{}"), "*")
	n, _ := strconv.Atoi(count)
	return strings.Repeat(text, n)
}

func newDeliveryCase(name string) *deliveryCase {
	c := &deliveryCase{
		name: name, control: map[string]string{"me": "me.example.org\n"}, private: map[string]string{},
		wait: 5 * time.Second, peers: map[string][]script{},
	}
	c.another()
	return c
}

func (c *deliveryCase) another() {
	c.sendings = append(c.sendings, &sending{from: "s@x.example", message: "Subject: x\n\nhello\n"})
}

// line reads one line of a case.
func (c *deliveryCase) line(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	s := c.sendings[len(c.sendings)-1]
	var err error
	switch verb {
	case "zone":
		name, record, _ := strings.Cut(rest, " ")
		c.zone = append(c.zone, name+" 60 IN "+record)
	case "dns":
		words := strings.Fields(rest)
		if len(words) != 3 {
			return fmt.Errorf("dns needs three words")
		}
		c.failing = append(c.failing, [3]string(words))
	case "own":
		c.own = append(c.own, rest)
	case "control", "private":
		err = c.file(verb, rest)
	case "wait":
		var ms int
		ms, err = strconv.Atoi(rest)
		c.wait = time.Duration(ms) * time.Millisecond
	case "dead":
		c.dead = append(c.dead, rest)
	case "peer":
		c.order = append(c.order, rest)
		c.peers[rest] = append(c.peers[rest], "")
	case "from":
		s.from = strings.Trim(rest, "<>")
	case "to":
		s.to = strings.Fields(rest)
	case "domain":
		s.domain = rest
	case "message":
		s.message, err = strconv.Unquote(rest)
	case "utf8":
		s.utf8 = true
	case "quick":
		var ms int
		ms, err = strconv.Atoi(rest)
		s.quick = time.Duration(ms) * time.Millisecond
	case "again":
		c.another()
	case "report":
		s.reports = append(s.reports, rest)
	case "dialed":
		c.dialed = rest
	default:
		err = c.step(line)
	}
	return err
}

func (c *deliveryCase) file(verb, rest string) error {
	name, quoted, _ := strings.Cut(rest, " ")
	text, err := strconv.Unquote(quoted)
	if verb == "private" {
		c.private[name] = text
	} else {
		c.control[name] = text
	}
	return err
}

// step adds a line to what the last peer does.
func (c *deliveryCase) step(line string) error {
	if len(c.order) == 0 {
		return fmt.Errorf("%q: what is that?", line)
	}
	name := c.order[len(c.order)-1]
	steps, err := scriptLine(line, nil)
	scripts := c.peers[name]
	scripts[len(scripts)-1] += script(steps)
	return err
}

// scriptLine is a line in the form that peers of testNet follow.
func scriptLine(line string, offers []string) (string, error) {
	line = strings.Replace(line, "250-peerEXTENSIONS", helloReply(offers), 1)
	verb, rest, _ := strings.Cut(line, " ")
	if macro, ok := macros[verb]; ok {
		var all string
		for l := range strings.SplitSeq(macro, "\n") {
			steps, err := scriptLine(l, append(offers, strings.FieldsFunc(rest, isComma)...))
			if err != nil {
				return "", err
			}
			all += steps
		}
		return all, nil
	}
	switch verb {
	case "S:":
		return "S- " + strings.ReplaceAll(rest, "|", `\r\n`) + `\r\n` + "\n", nil
	case "R:":
		return "S- " + rest + "\n", nil
	case "C:":
		if said, reply, both := strings.Cut(rest, " => "); both {
			return "C " + said + "\n" + "S- " + strings.ReplaceAll(reply, "|", `\r\n`) + `\r\n` + "\n", nil
		}
		return "C " + rest + "\n", nil
	case "D:", "M:", "O:", "W:":
		return verb[:1] + " " + rest + "\n", nil
	case "N:":
		return "1 " + rest + "\n", nil
	case "hang":
		return "~ hang\n", nil
	case "reset":
		return "! reset\n", nil
	}
	return "", fmt.Errorf("%q: what is that?", line)
}

func isComma(r rune) bool { return r == ',' }

// helloReply is the answer to EHLO with these extensions.
func helloReply(offers []string) string {
	lines := append([]string{"peer"}, offers...)
	for i := range lines {
		dash := "-"
		if i == len(lines)-1 {
			dash = " "
		}
		lines[i] = "250" + dash + strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "|")
}

// play carries out a case.
func (c *deliveryCase) play(t *testing.T) {
	h := newHost(t, c.zone...)
	for _, f := range c.failing {
		var rcode int
		if _, err := fmt.Sscan(f[2], &rcode); err != nil {
			t.Fatal(err)
		}
		h.dns.Fail(f[0], f[1], rcode)
	}
	for _, a := range c.own {
		h.testNet.own = append(h.testNet.own, at(a).Addr())
	}
	for _, a := range c.dead {
		h.dead[at(a)] = true
	}
	c.settings(t, h)
	for name, scripts := range c.peers {
		h.peer(name, scripts...)
	}
	for _, s := range c.sendings {
		s.send(t, h)
	}
	if got := h.dialed(); c.dialed != "" && got != c.dialed {
		t.Errorf("dialed %s, want %s", got, c.dialed)
	}
	h.client.pool.close()
	h.finish()
	h.check()
}

// settings lets the host read the control files of the case.
func (c *deliveryCase) settings(t *testing.T, h *host) {
	t.Helper()
	dir := home(t, c.control)
	for name, text := range c.private {
		if err := os.WriteFile(filepath.Join(dir, "control", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := &settingsFiles{home: dir, resolvConf: "/nonexistent", clock: clock.Real()}
	h.client.settings = func() (*settings, error) {
		set, err := files.current()
		if err != nil {
			return nil, err
		}
		mine := *set
		mine.dns, mine.connectTimeout, mine.remoteTimeout = h.set.dns, c.wait, c.wait
		return &mine, nil
	}
}

func (s *sending) send(t *testing.T, h *host) {
	t.Helper()
	if len(s.to) == 0 {
		s.to = []string{"r@d.example"}
	}
	m := mail{sender: addr(t, s.from), body: message(t, s.message), recipients: recipients(t, s.to...)}
	m.facts.UTF8 = s.utf8
	if s.domain == "" {
		s.domain = m.recipients[0].Domain()
	}
	began := time.Now()
	o, err := h.client.deliver(context.Background(), s.domain, m)
	if took := time.Since(began); s.quick > 0 && took > s.quick {
		t.Errorf("took %v", took)
	}
	if err != nil {
		t.Logf("log: %v", err)
	}
	reports := strings.Split(strings.TrimSuffix(show(o), "|"), "|")
	same := len(reports) == len(s.reports)
	for i := range reports {
		same = same && matches(reports[i], s.reports[i])
	}
	if !same {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(reports, "\n  "), strings.Join(s.reports, "\n  "))
	}
}

func matches(got, want string) bool {
	if prefix, open := strings.CutSuffix(want, "*"); open {
		return strings.HasPrefix(got, prefix)
	}
	return got == want
}
