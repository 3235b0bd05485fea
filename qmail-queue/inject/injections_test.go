package inject

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fewestInjections keeps the suite from being lost with a file.
const fewestInjections = 250

// TestInjections runs testdata/injections, a file a topic; README there says how
// to read them.
func TestInjections(t *testing.T) {
	t.Parallel()
	count := 0
	for _, file := range injectionFiles(t) {
		cases := readInjections(t, file)
		count += len(cases)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.check(t)
				})
			}
		})
	}
	t.Logf("%d injections", count)
	if count < fewestInjections {
		t.Errorf("%d injections, at least %d are expected", count, fewestInjections)
	}
}

func injectionFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/injections/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// injection is one case.
type injection struct {
	name, where string
	argv        []string
	environ     []string
	files       map[string]string // below the home directory
	input       string
	added       []string // nil: the usual ones do not count
	lines       []string
	sender      string
	recipients  []string
	exit        int
	says        []string
	prints      []string
}

// readInjections reads a file of cases.
func readInjections(t testing.TB, file string) []*injection {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := []*injection{{
		argv: []string{"qmail-inject"}, environ: []string{"USER=user"}, sender: "user@me.example.org",
		files: map[string]string{"control/me": "me.example.org\n", "control/plusdomain": "plus.example.net\n"},
	}}
	for i, line := range strings.Split(string(text), "\n") {
		where := fmt.Sprintf("%s:%d", file, i+1)
		name, begins := strings.CutPrefix(line, "== ")
		field, isField := strings.CutPrefix(line, "=< ")
		if begins || isField {
			c := *all[0]
			c.name, c.where = name+field, where
			c.environ, c.files = slices.Clone(c.environ), maps.Clone(c.files)
			c.added, c.lines, c.says, c.prints = slices.Clip(c.added), slices.Clip(c.lines), slices.Clip(c.says), slices.Clip(c.prints)
			if isField {
				c.input = expand(field) + "\n"
			}
			all = append(all, &c)
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if err := all[len(all)-1].add(line); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	return all[1:]
}

// add takes a line of a case.
func (c *injection) add(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case "$":
		c.argv, err = words(rest)
	case "env":
		c.environ = append(c.environ, expand(rest))
	case "control", "file":
		name, quoted, _ := strings.Cut(rest, " ")
		if verb == "control" {
			name = "control/" + name
		}
		c.files[name], err = strconv.Unquote(quoted)
	case "missing":
		delete(c.files, "control/"+rest)
	case "unset":
		c.environ = slices.DeleteFunc(c.environ, func(entry string) bool { return strings.HasPrefix(entry, rest+"=") })
	case "queue":
		c.environ = append(c.environ, "RECORD_EXIT="+rest)
	case "<":
		c.input += withLF(expand(rest))
	case "+":
		if c.added == nil {
			c.added = []string{}
		}
		if rest != "nothing" {
			c.added = append(c.added, addedField(rest))
		}
	case ">":
		c.lines = append(c.lines, expand(rest))
	case "from":
		c.sender, err = word(rest)
	case "to":
		c.recipients, err = words(rest)
	case "exit":
		c.exit, err = strconv.Atoi(rest)
	case "says":
		c.says = append(c.says, expand(rest))
	case "prints":
		c.prints = append(c.prints, expand(rest))
	default:
		err = fmt.Errorf("%q is no verb", verb)
	}
	return err
}

func withLF(line string) string {
	if text, cut := strings.CutSuffix(line, "{no LF}"); cut {
		return text
	}
	return line + "\n"
}

// words splits a line at blanks; a word in quotes may have some.
func words(line string) ([]string, error) {
	var all []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		end := strings.IndexByte(line, ' ')
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			end = len(quoted)
		}
		if end < 0 {
			end = len(line)
		}
		w, err := word(line[:end])
		if err != nil {
			return nil, err
		}
		all = append(all, w)
		line = line[end:]
	}
	return all, nil
}

func word(text string) (string, error) {
	if strings.HasPrefix(text, `"`) {
		return strconv.Unquote(text)
	}
	return expand(text), nil
}

// marked is {WORD} and {TEXT*N}.
var marked = regexp.MustCompile(`\{(CR|LF|NUL|TAB|SP|x[0-9A-F]{2}|[^{}]*\*[0-9]+)\}`)

// expand works from the inside out.
func expand(line string) string {
	for {
		next := marked.ReplaceAllStringFunc(line, func(m string) string {
			switch inner := m[1 : len(m)-1]; inner {
			case "CR":
				return "\r"
			case "LF":
				return "\n"
			case "NUL":
				return "\x00"
			case "TAB":
				return "\t"
			case "SP":
				return " "
			default:
				if at := strings.LastIndexByte(inner, '*'); at >= 0 {
					n, _ := strconv.Atoi(inner[at+1:])
					return strings.Repeat(inner[:at], n)
				}
				b, _ := strconv.ParseUint(inner[1:], 16, 8)
				return string([]byte{byte(b)})
			}
		})
		if next == line {
			return line
		}
		line = next
	}
}

// check runs the program and looks at what it did.
func (c *injection) check(t *testing.T) {
	r := c.run(t)
	if r.code != c.exit || r.queued && c.exit != 0 {
		t.Errorf("%s: exit %d, queued %v, says %q, want exit %d", c.where, r.code, r.queued, r.stderr, c.exit)
	}
	for _, text := range c.says {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("%s: says %q, want %q", c.where, r.stderr, text)
		}
	}
	if len(c.says) == 0 && r.stderr != "" {
		t.Errorf("%s: says %q", c.where, r.stderr)
	}
	stdout := asLines(r.stdout)
	if !slices.Equal(stdout, c.prints) {
		t.Errorf("%s: prints\n%q, want\n%q", c.where, stdout, c.prints)
	}
	if c.exit == 0 && r.queued {
		c.checkQueued(t, r)
	} else if c.exit == 0 && (c.lines != nil || c.recipients != nil) {
		t.Errorf("%s: nothing is queued", c.where)
	}
}

func (c *injection) checkQueued(t *testing.T, r result) {
	got, want := asLines(r.message), append(slices.Clone(c.added), c.lines...)
	if c.added == nil {
		got = withoutUsual(got)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: the message is\n%q, want\n%q", c.where, got, want)
	}
	if r.sender != c.sender || !slices.Equal(r.recipients, c.recipients) {
		t.Errorf("%s: from %q to %q, want from %q to %q", c.where, r.sender, r.recipients, c.sender, c.recipients)
	}
}

// asLines splits a text at its line ends. One that does not end with one has
// "{no LF}" there.
func asLines(text string) []string {
	if text == "" {
		return nil
	}
	if !strings.HasSuffix(text, "\n") {
		text += "{no LF}\n"
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// usual are the fields that are added to a message of nothing but its body.
var usual = map[string]string{
	"date":   "Date: NOW",
	"id":     "Message-ID: <NOW.PID.qmail@me.example.org>",
	"from":   "From: user@me.example.org",
	"hidden": "Cc: recipient list not shown: ;",
}

// addedField is the field that a line with + stands for.
func addedField(text string) string {
	name, resent := strings.CutPrefix(text, "resent ")
	field, isUsual := usual[name]
	switch {
	case !isUsual:
		return expand(text)
	case resent:
		return "Resent-" + field
	}
	return field
}

func withoutUsual(lines []string) []string {
	all := slices.Collect(maps.Values(usual))
	for len(lines) > 0 && slices.Contains(all, strings.TrimPrefix(lines[0], "Resent-")) {
		lines = lines[1:]
	}
	return lines
}

// The programs, built so that their home directory is the working directory.
var builtPrograms = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(testDir, "bin")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w -X postrider/internal/qmailhome.Dir=.",
		"-o", dir+"/", "postrider/cmd/qmail-inject", "postrider/cmd/sendmail", "postrider/cmd/mailsubj")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// run runs the built program that the case names.
func (c *injection) run(t testing.TB) result {
	t.Helper()
	bin, err := builtPrograms()
	if err != nil {
		t.Fatal(err)
	}
	home, records := c.home(t, bin), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, filepath.Base(programOf(c.argv[0]))))
	cmd.Args, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.argv, home, strings.NewReader(c.input), &stdout, &stderr
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", recordTo + "=" + records, "QMAILQUEUE=" + self}, c.environ...)
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{
		code: cmd.ProcessState.ExitCode(), stdout: maskNow(stdout.String()), stderr: maskNow(stderr.String()),
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}
	r.read(t, records, maskNow)
	return r
}

// programOf is the program behind a name.
func programOf(name string) string {
	switch filepath.Base(name) {
	case "mailq", "newaliases":
		return "sendmail"
	}
	return name
}

// home makes the home directory of a case. Its programs are the built ones, if
// the case does not have its own.
func (c *injection) home(t testing.TB, bin string) string {
	t.Helper()
	home := t.TempDir()
	for path, text := range c.files {
		path = filepath.Join(home, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "control"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"qmail-inject", "sendmail"} {
		if err := os.Symlink(filepath.Join(bin, program), filepath.Join(home, "bin", program)); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

var (
	nowInDate = regexp.MustCompile(`(?m)^((?:Resent-)?Date: )\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000$`)
	nowInID   = regexp.MustCompile(`<\d{14}\.\d+\.qmail@`)
	nowInVERP = regexp.MustCompile(`-\d{10}\.\d+(-?@)`)
)

// maskNow puts words in place of time and process id.
func maskNow(text string) string {
	text = nowInDate.ReplaceAllString(text, "${1}NOW")
	text = nowInVERP.ReplaceAllString(text, "-NOW.PID${1}")
	return nowInID.ReplaceAllString(text, "<NOW.PID.qmail@")
}
