package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// form is a way to qmail-local.
type form int

const (
	byHand form = iota + 1 // qmail's command line
	bySuite
)

func (f form) String() string { return [...]string{"", "by hand", "through the suite"}[f] }

// topic is a file of testdata/deliveries.
type topic struct {
	name     string
	control  map[string][]string
	fallback string // the default delivery
	cases    []*deliveryCase
}

// deliveryCase is one case of a topic, as it is written, with "joe" for its
// user.
type deliveryCase struct {
	name  string
	where string // file and line
	lines []string
	only  form
	why   string // reason for only
}

// delivered is a case in one of its forms: its user is a user of the host.
type delivered struct {
	*deliveryCase
	form   form
	number string // behind "joe"

	setup    [][]string // words and their arguments
	users    []string
	assign   []string
	virtual  []string
	options  []string
	environ  []string
	to       string
	operands []string // local, dash, ext
	logged   string   // the address that is logged, if operands and to do not say it
	sender   string
	message  string

	log   string
	holds []string // "path: content", of every file that is new or changed
	modes map[string]string
}

// who is what stands for the users of a case.
var who = regexp.MustCompile(`(?i)joe`)

// readTopic reads a file of cases.
func readTopic(t *testing.T, file string) *topic {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &topic{name: strings.TrimSuffix(filepath.Base(file), ".txt"), fallback: "./Maildir/\n", control: map[string][]string{}}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		where := fmt.Sprintf("%s:%d", filepath.Base(file), number)
		name, isName := strings.CutPrefix(line, "== ")
		switch {
		case isName:
			p.cases = append(p.cases, &deliveryCase{name: name, where: where})
		case line == "", strings.HasPrefix(line, "#"):
		case len(p.cases) == 0:
			if err := p.add(line); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		default:
			if err := p.cases[len(p.cases)-1].add(expand(line)); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		}
	}
	return p
}

// add takes a line that holds for the whole topic.
func (p *topic) add(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "control":
		name, text, _ := strings.Cut(rest, " ")
		p.control[name] = append(p.control[name], text)
		return nil
	case "default":
		var err error
		p.fallback, err = strconv.Unquote(rest)
		return err
	}
	return fmt.Errorf("unknown word %q", word)
}

func (c *deliveryCase) add(line string) error {
	rest, isOnly := strings.CutPrefix(line, "only ")
	if !isOnly {
		c.lines = append(c.lines, line)
		return nil
	}
	which, why, _ := strings.Cut(rest, ": ")
	c.only, c.why = map[string]form{"by hand": byHand, "suite": bySuite}[which], why
	if c.only == 0 || why == "" {
		return fmt.Errorf("only by hand, or only suite, and a colon and why")
	}
	return nil
}

// repeated is {TEXT*N}: N times the text.
var repeated = regexp.MustCompile(`\{([^{}*]+)\*(\d+)\}`)

// expand works from the inside out.
func expand(line string) string {
	for repeated.MatchString(line) {
		line = repeated.ReplaceAllStringFunc(line, func(s string) string {
			parts := repeated.FindStringSubmatch(s)
			n, _ := strconv.Atoi(parts[2]) // digits, as the expression has it
			return strings.Repeat(parts[1], n)
		})
	}
	return line
}

const (
	plainSender  = "sam@else.example"
	plainMessage = "Subject: x\n\nhello\n"
	mailDomain   = "mx.example"
)

// in returns the case in a form, for the user with this number.
func (c *deliveryCase) in(f form, number int) (*delivered, error) {
	d := &delivered{
		deliveryCase: c, form: f, number: fmt.Sprintf("%d%03d", f, number),
		to: "joe", sender: plainSender, message: plainMessage, modes: map[string]string{},
	}
	d.to = who.ReplaceAllString(d.to, "${0}"+d.number)
	for _, line := range c.lines {
		fields, err := words(who.ReplaceAllString(line, "${0}"+d.number))
		if err == nil {
			err = d.take(fields[0], fields[1:])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %q: %w", c.where, c.name, line, err)
		}
	}
	if d.log == "" {
		return nil, fmt.Errorf("%s: %q does not say what is logged", c.where, c.name)
	}
	if !strings.Contains(d.to, "@") {
		d.to += "@" + mailDomain
	}
	if d.operands == nil {
		d.operands = d.ordinaryOperands()
	}
	if d.logged == "" {
		d.logged = d.operands[0] + "@" + d.domain()
	}
	return d, nil
}

// words splits a line at blanks; a word may be in Go's quotes.
func words(line string) ([]string, error) {
	var all []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			all, line = append(all, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		all, line = append(all, word), line[len(quoted):]
	}
	return all, nil
}

// take takes a line of the case.
func (d *delivered) take(word string, args []string) error {
	least := map[string]int{
		"file": 2, "dir": 1, "link": 2, "fifo": 1, "home": 1, "maildir": 1, "alias": 2, "user": 1, "assign": 1, "virtual": 1,
		"option": 1, "env": 1, "to": 1, "operands": 3, "from": 1, "message": 1, "logged": 1,
		"log": 1, "has": 2, "mode": 2, "in": 1, "mbox": 1, "forward": 2,
	}
	n, known := least[word]
	if !known {
		return fmt.Errorf("unknown word")
	}
	if len(args) < n {
		return fmt.Errorf("%d words are too few", len(args))
	}
	switch word {
	case "user":
		d.users = append(d.users, args[0])
	case "assign":
		d.assign = append(d.assign, args[0])
	case "virtual":
		d.virtual = append(d.virtual, args[0])
	case "option":
		d.options = append(d.options, args[0])
	case "env":
		d.environ = append(d.environ, args[0])
	case "to":
		d.to = args[0]
	case "operands":
		d.operands = args[:3]
	case "logged":
		d.logged = args[0]
	case "from":
		d.sender = args[0]
	case "message":
		d.message = args[0]
	case "log", "has", "mode", "in", "mbox", "forward":
		d.expect(word, args)
	default:
		d.setup = append(d.setup, append([]string{word}, args...))
	}
	return nil
}

// ordinaryOperands are those of a user's address: joe, joe-ext.
func (d *delivered) ordinaryOperands() []string {
	local := d.to[:strings.LastIndexByte(d.to, '@')]
	rest := local[len("joe0000"):]
	if rest == "" {
		return []string{local, "", ""}
	}
	return []string{local, rest[:1], rest[1:]}
}

// domain is the one that the delivery is for.
func (d *delivered) domain() string { return d.to[strings.LastIndexByte(d.to, '@')+1:] }

func (d *delivered) user() string { return "joe" + d.number }
func (d *delivered) home() string { return "/home/" + d.user() }

// again returns text as the case would have it.
func (d *delivered) again(text string) string {
	return regexp.MustCompile(`(?i)(joe)`+d.number).ReplaceAllString(text, "$1")
}
