package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"postrider/internal/logline"
	"postrider/internal/testhost"
)

// fewestDeliveries keeps the suite from being lost with a file.
const fewestDeliveries = 250

// TestDeliveries carries out testdata/deliveries, a file a topic; README there
// says how to read them. Each case is delivered by hand and through the suite,
// for a user of its own; a topic has one host.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/deliveries/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		p := readTopic(t, file)
		count += len(p.cases)
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.run(t)
		})
	}
	t.Logf("%d deliveries", count)
	if count < fewestDeliveries {
		t.Errorf("%d deliveries, at least %d are expected", count, fewestDeliveries)
	}
}

// topicHost is the host of a topic, and its deliveries.
type topicHost struct {
	*testhost.Host
	topic      *topic
	deliveries []*delivered
	before     []map[string]string // the files of each before its delivery
	logs       []string            // what became of each
}

// keeper stands for qmail-queue where qmail-local forwards: it keeps in the
// home what it is given, or refuses it with the exit code that the home has.
const keeper = `#!/bin/sh
cd "$HOME" || exit 53
cat >>` + keptMessage + `
tr '\000' '\012' <&1 >>` + keptEnvelope + `
[ ! -f queue.exit ] || exit "$(cat queue.exit)"
`

const (
	keeperPath = "/var/qmail/keeper"
	injectDir  = "/var/qmail/inject"
)

func (p *topic) run(t *testing.T) {
	h := &topicHost{topic: p, Host: mailHost(t, testhost.NewNetwork(t), mailDomain)}
	h.prepare(t)
	for _, d := range h.deliveries {
		h.before = append(h.before, d.files(t, h.Host))
	}
	h.logs = make([]string, len(h.deliveries))
	h.StartSuiteUnder([]string{"env", "QMAILQUEUE=" + keeperPath})
	h.injectAll()
	h.deliverByHand(t)
	for i, d := range h.deliveries {
		if d.form == bySuite {
			h.logs[i] = h.outcome(d)
		}
	}
	// What is to be tried again stays in the queue.
	h.CrashSuite()
	for i, d := range h.deliveries {
		t.Run(d.name+"/"+d.form.String(), func(t *testing.T) { d.judge(t, h.Host, h.before[i], h.logs[i]) })
	}
	if t.Failed() {
		t.Logf("log:\n%s", h.Log().Timed(0))
	}
}

// prepare makes the users, their files and the control files.
func (h *topicHost) prepare(t *testing.T) {
	t.Helper()
	var users []string
	for i, c := range h.topic.cases {
		for _, f := range []form{byHand, bySuite} {
			if c.only != 0 && c.only != f {
				continue
			}
			d, err := c.in(f, i)
			if err != nil {
				t.Fatal(err)
			}
			h.deliveries = append(h.deliveries, d)
			users = append(append(users, d.user()), d.users...)
		}
	}
	h.AddUsers(users...)
	h.WriteFile(keeperPath, keeper, 0o755)
	// Bounces go to sam, who keeps nothing.
	h.WriteFile("/var/qmail/alias/.qmail-sam", "#\n", 0o644)
	locals := append(h.topic.control["locals"], mailDomain, "else.example")
	virtual := h.topic.control["virtualdomains"]
	var assign []string
	for _, d := range h.deliveries {
		uid, gid := h.setUp(t, d)
		ids := strings.NewReplacer("UID", fmt.Sprint(uid), "GID", fmt.Sprint(gid), "QMAILQ", fmt.Sprint(h.UserID("qmailq")))
		for _, line := range d.assign {
			assign = append(assign, ids.Replace(line))
		}
		virtual = append(virtual, d.virtual...)
	}
	for name, lines := range h.topic.control {
		h.Control(name, lines...)
	}
	h.Control("locals", locals...)
	h.Control("virtualdomains", virtual...)
	h.Control("concurrencylocal", "100")
	if len(assign) > 0 {
		h.WriteFile("/var/qmail/users/assign", strings.Join(assign, "\n")+"\n.\n", 0o644)
		h.Must("/var/qmail/bin/qmail-newu")
	}
}

// setUp makes the files of a case, as its user.
func (h *topicHost) setUp(t *testing.T, d *delivered) (uid, gid int) {
	t.Helper()
	info, err := os.Stat(h.Path(d.home()))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	uid, gid = int(owner.Uid), int(owner.Gid)
	homeMode := os.FileMode(0)
	for _, line := range d.setup {
		path := h.Path(filepath.Join(d.home(), line[1]))
		switch word := line[0]; word {
		case "home":
			homeMode, err = modeOf(line[1])
		case "alias":
			h.WriteFile("/var/qmail/alias/"+line[1], line[2], 0o644)
		case "file":
			err = makeFile(path, line[2:])
		case "dir":
			err = makeDir(path, line[2:])
		case "maildir":
			for _, dir := range []string{"", "tmp", "new", "cur"} {
				err = firstOf(err, os.Mkdir(filepath.Join(path, dir), 0o700), os.Chown(filepath.Join(path, dir), uid, gid))
			}
		case "link":
			err = os.Symlink(line[2], path)
		case "fifo":
			err = syscall.Mkfifo(path, 0o600)
		}
		if line[0] != "alias" && line[0] != "home" {
			err = firstOf(err, os.Lchown(path, uid, gid))
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", d.where, line, err)
		}
	}
	if homeMode != 0 {
		if err := os.Chmod(h.Path(d.home()), homeMode); err != nil {
			t.Fatal(err)
		}
	}
	return uid, gid
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// modeOf reads a mode in octal, with the sticky bit.
func modeOf(text string) (os.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	mode := os.FileMode(n) & os.ModePerm
	if n&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	return mode, err
}

// makeFile makes a file of [MODE] TEXT.
func makeFile(path string, args []string) error {
	mode := os.FileMode(0o600)
	if len(args) > 1 {
		var err error
		if mode, err = modeOf(args[0]); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path, []byte(args[len(args)-1]), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// makeDir makes a directory of [MODE].
func makeDir(path string, args []string) error {
	mode := os.FileMode(0o700)
	if len(args) > 0 {
		var err error
		if mode, err = modeOf(args[0]); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// injectAll queues the messages of all cases, with qmail-queue.
func (h *topicHost) injectAll() {
	for _, d := range h.deliveries {
		if d.form == bySuite {
			name := injectDir + "/" + d.number
			h.WriteFile(name+".message", d.message, 0o644)
			h.WriteFile(name+".envelope", "F"+d.sender+"\x00T"+d.to+"\x00\x00", 0o644)
		}
	}
	h.Must("sh", "-c", "[ -d "+injectDir+" ] || exit 0; cd "+injectDir+"; for m in *.message; do /var/qmail/bin/qmail-queue <$m 1<${m%.message}.envelope || "+
		"{ echo $m: exit code $? >&2; exit 1; }; done")
}

// outcome waits for the log line of a delivery through the suite.
func (h *topicHost) outcome(d *delivered) string {
	address := regexp.QuoteMeta(logline.Safe(d.logged))
	number := h.WaitForLog(0, `^starting delivery (\d+): msg \d+ to local `+address+`$`)[1]
	return h.WaitForLog(0, `^delivery `+number+`: (.*)$`)[1]
}

// handsAtOnce is how many deliveries by hand run at a time.
const handsAtOnce = 4

// deliverByHand runs qmail-local as each user in turn.
func (h *topicHost) deliverByHand(t *testing.T) {
	t.Helper()
	var running sync.WaitGroup
	slots := make(chan struct{}, handsAtOnce)
	for i, d := range h.deliveries {
		if d.form == byHand {
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				log, err := h.byHand(t, d)
				if err != nil {
					t.Errorf("%s: %v", d.where, err)
				}
				h.logs[i] = log
			})
		}
	}
	running.Wait()
}

// byHand runs one delivery and returns what qmail-send would log of it.
func (h *topicHost) byHand(t *testing.T, d *delivered) (log string, err error) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/message", []byte(d.message), 0o644); err != nil {
		return "", err
	}
	in, err := os.Open(dir + "/message")
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(dir+"/report", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return "", err
	}
	defer out.Close()
	argv := append([]string{"/var/qmail/bin/qmail-local"}, d.options...)
	argv = append(argv, "--", d.user(), d.home(), d.operands[0], d.operands[1], d.operands[2], d.domain(), d.sender, h.topic.fallback)
	p, err := h.Start(testhost.Command{
		Argv: argv, User: d.user(), Files: []*os.File{in, out, out},
		Env: append([]string{"PATH=/var/qmail/bin:/usr/bin:/bin", "QMAILQUEUE=" + keeperPath}, d.environ...),
	})
	if err != nil {
		return "", err
	}
	result, err := p.Wait(testhost.Within(t, soon))
	if err != nil {
		return "", err
	}
	report, err := os.ReadFile(dir + "/report")
	for word, code := range wordsOfIt {
		if code == result.Code {
			return word + ": " + logline.Safe(string(report)), err
		}
	}
	return fmt.Sprintf("%v: %s", result, report), err
}
