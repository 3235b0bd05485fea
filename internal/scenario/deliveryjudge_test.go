package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// What qmail-local's queue program, keeper, leaves in a home.
const (
	keptEnvelope = "queue.envelope"
	keptMessage  = "queue.message"
)

// expect takes what a case says about the outcome. Placeholders are replaced
// later, since they depend on all lines.
func (d *delivered) expect(word string, args []string) {
	switch word {
	case "log":
		d.log = d.again(strings.Join(args, " "))
	case "has":
		d.holds = append(d.holds, args[0]+": "+args[1])
	case "in": // the message as it is, in a Maildir
		d.holds = append(d.holds, args[0]+"/new: {rp}{dt}{message}")
	case "mbox":
		d.holds = append(d.holds, args[0]+": {from}{rp}{dt}{message}\n")
	case "forward":
		d.holds = append(d.holds, keptEnvelope+": F"+args[0]+"\nT"+strings.Join(args[1:], "\nT")+"\n\n", keptMessage+": {dt}{message}")
	case "mode":
		d.modes[args[0]] = args[1]
	}
}

// expected returns what the home must hold, sorted.
func (d *delivered) expected() []string {
	fill := strings.NewReplacer(
		"{message}", d.message,
		"{rp}", "Return-Path: <"+d.sender+">\n",
		"{dt}", "Delivered-To: "+d.operands[0]+"@"+d.domain()+"\n",
		"{from}", "From "+d.sender+" DATE\n",
	)
	var all []string
	for _, h := range d.holds {
		all = append(all, d.again(fill.Replace(h)))
	}
	slices.Sort(all)
	return all
}

var (
	received  = regexp.MustCompile(`(?m)^Received: \(qmail \d+ invoked by .*\n`)
	fromDate  = regexp.MustCompile(`(?m)^(From \S+) \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$`)
	qp        = regexp.MustCompile(`qp([ _])\d+`)
	bytesInIt = regexp.MustCompile(`(?m)^\d+ (\d+)$`)
	dateField = regexp.MustCompile(`(?m)^Date: .*$`)
	sizeInIt  = regexp.MustCompile(`,S=(\d+)$`)
	timeInIt  = regexp.MustCompile(`\d{10}\.M\d+P\d+Q\d+\.mx\.example`)
	wordsOfIt = map[string]int{"success": 0, "failure": 100, "deferral": 111}
)

// settled is text without what differs from run to run.
func (d *delivered) settled(text string) string {
	text = received.ReplaceAllString(text, "")
	text = fromDate.ReplaceAllString(text, "$1 DATE")
	text = dateField.ReplaceAllString(text, "Date: DATE")
	text = timeInIt.ReplaceAllString(text, "NAME")
	return d.again(qp.ReplaceAllString(text, "qp${1}N"))
}

// found returns what the homes of the case hold that was not there before,
// sorted.
func (d *delivered) found(t *testing.T, h *testhost.Host, before map[string]string) []string {
	t.Helper()
	var all []string
	for path, text := range d.files(t, h) {
		if old, known := before[path]; known && old == text {
			continue
		}
		shown := path
		if filepath.Base(filepath.Dir(path)) == "new" {
			shown = filepath.Dir(path)
			if size := sizeInIt.FindStringSubmatch(path); size != nil {
				shown += ",S"
				if size[1] != fmt.Sprint(len(text)) {
					shown += " is wrong"
				}
			}
		}
		if filepath.Base(path) == "maildirsize" {
			text = bytesInIt.ReplaceAllString(text, "BYTES $1")
		}
		all = append(all, d.settled(shown)+": "+d.settled(text))
	}
	slices.Sort(all)
	return all
}

// files returns the regular files in the homes of the case.
func (d *delivered) files(t *testing.T, h *testhost.Host) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, user := range append([]string{d.user()}, d.users...) {
		root := h.Path("/home/" + user)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(h.Path(d.home()), path)
			files[name] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// judge compares an outcome with what the case says.
func (d *delivered) judge(t *testing.T, h *testhost.Host, before map[string]string, log string) {
	t.Helper()
	log = strings.TrimSpace(d.settled(log))
	if pattern := regexp.QuoteMeta(d.log); !regexp.MustCompile(`^` + strings.ReplaceAll(pattern, `\*`, `.*`) + `$`).MatchString(log) {
		t.Errorf("logged\n  %s\nwant\n  %s", log, d.log)
	}
	got, want := d.found(t, h, before), d.expected()
	if !slices.Equal(got, want) {
		t.Errorf("the home holds\n%s\nwant\n%s", inLines(got), inLines(want))
	}
	for name, mode := range d.modes {
		info, err := os.Lstat(h.Path(filepath.Join(d.home(), name)))
		if err != nil || fmt.Sprintf("%o", info.Mode().Perm()) != mode {
			t.Errorf("%s: mode %v, want %s; %v", name, info.Mode(), mode, err)
		}
	}
	if t.Failed() {
		t.Logf("%s, %v", d.where, d.form)
	}
}

func inLines(all []string) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "  %.600q\n", s)
	}
	return b.String()
}
