package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/getopt"
	"postrider/internal/header"
	"postrider/internal/maildate"
	"postrider/internal/world"
)

const (
	responder = "qmail-autoresponder"
	// usualInterval is how long a sender is not answered again: RFC 3834
	// section 2 has seven days.
	usualInterval = 7 * 24 * time.Hour
	maxAnswer     = 1 << 20
)

// vacation is what the command line of qmail-autoresponder says.
type vacation struct {
	own      []string // addresses that are the user's, in lower case
	interval time.Duration
	subject  string // empty: that of the message, behind "Auto: "
	file     string // what is answered
	memory   string // who was answered, and when
}

// AutoResponder is qmail-autoresponder: it answers a message for somebody who
// does not, by the rules of RFC 3834. A message that is not answered is none
// the less delivered: it exits 0.
func AutoResponder(w world.World) int {
	v, err := parseVacation(w)
	if err != nil {
		return usage(w, responder+" [-a address] [-i seconds] [-s subject] file directory")
	}
	sender, sent := w.Getenv("SENDER")
	recipient, got := w.Getenv("RECIPIENT")
	if !sent || !got {
		return fail(w, responder, exitNever, "SENDER or RECIPIENT is not set: qmail-local sets them for the programs in .qmail files")
	}
	v.own = append(v.own, strings.ToLower(recipient))
	head, err := readHead(w.Stdin)
	if errors.Is(err, errLongHead) {
		return exitDone // whoever wrote that is no person
	}
	if err != nil {
		return fail(w, responder, exitLater, "unable to read the message: "+err.Error())
	}
	m := survey(head)
	if !isPersonal(sender) || m.automatic || !m.addressed(v.own) || contains(v.own, sender) {
		return exitDone
	}
	text, err := readAnswer(v.file)
	if err != nil {
		return fail(w, responder, exitLater, err.Error())
	}
	first, err := remember(v.memory, sender, w.Clock.Now(), v.interval)
	if err != nil {
		return fail(w, responder, exitLater, err.Error())
	}
	if !first {
		return exitDone
	}
	return v.respond(w, sender, recipient, m, text)
}

func parseVacation(w world.World) (v vacation, err error) {
	opts, args, err := getopt.Parse(w.Args[1:], "a:i:s:")
	if err != nil {
		return v, err
	}
	v.interval = usualInterval
	for _, o := range opts {
		switch o.Letter {
		case 'a':
			v.own = append(v.own, strings.ToLower(o.Value))
		case 'i':
			seconds, err := strconv.ParseUint(o.Value, 10, 31)
			if err != nil {
				return v, err
			}
			v.interval = time.Duration(seconds) * time.Second
		case 's':
			v.subject = unfolded(o.Value)
		}
	}
	if len(args) != 2 {
		return v, errors.New("a file and a directory")
	}
	v.file, v.memory = args[0], args[1]
	return v, nil
}

// isPersonal reports whether a person may be behind an envelope sender
// (RFC 3834 section 2).
func isPersonal(sender string) bool {
	local, domain, found := cutLast(strings.ToLower(sender), '@')
	switch {
	case strings.ContainsFunc(sender, unicode.IsControl), !found, local == "", domain == "", strings.HasSuffix(domain, "[]"):
		return false
	case local == "mailer-daemon", local == "postmaster", local == "listserv", local == "majordomo", local == "root", local == "nobody":
		return false
	case strings.HasPrefix(local, "owner-"), strings.HasSuffix(local, "-owner"), strings.HasSuffix(local, "-request"),
		strings.Contains(local, "-owner-"), strings.Contains(local, "-return-"), strings.HasSuffix(local, "-bounces"), strings.Contains(local, "-bounces+"):
		return false
	}
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(local)
	return !strings.HasPrefix(plain, "noreply") && !strings.HasPrefix(plain, "donotreply")
}

func cutLast(s string, c byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func contains(all []string, address string) bool {
	for _, a := range all {
		if strings.EqualFold(a, address) {
			return true
		}
	}
	return false
}

// surveyed is what the header of a message says.
type surveyed struct {
	automatic  bool // no person wrote it to one
	recipients []string
	subject    string
	id         string
	references string
}

// survey reads a header. Fields come from strangers: what is taken from them
// for the answer is one line.
func survey(head string) (m surveyed) {
	fields(head, func(name, body string) {
		first, _, _ := strings.Cut(strings.ToLower(unfolded(body)), ";")
		first = strings.TrimSpace(first)
		switch name {
		case "auto-submitted":
			m.automatic = m.automatic || first != "no"
		case "precedence":
			m.automatic = m.automatic || first == "bulk" || first == "junk" || first == "list"
		case "mailing-list", "x-mailing-list", "x-loop", "x-auto-response-suppress", "feedback-id":
			m.automatic = true
		case "x-spam-flag":
			m.automatic = m.automatic || first == "yes"
		case "content-type":
			m.automatic = m.automatic || first == "multipart/report"
		case "return-path":
			m.automatic = m.automatic || first == "<>"
		case "to", "cc", "resent-to", "resent-cc":
			addresses(body, func(a header.Addr) { m.recipients = append(m.recipients, strings.ToLower(a.String())) })
		case "subject":
			m.subject = clip(unfolded(body))
		case "message-id":
			if id := unfolded(body); len(id) <= maxCopied {
				m.id = id
			}
		case "references":
			if all := unfolded(body); len(all) <= maxCopied {
				m.references = all
			}
		}
		m.automatic = m.automatic || strings.HasPrefix(name, "list-")
	})
	return m
}

// maxCopied is the most of a field that is copied: lines have 998 bytes.
const maxCopied = 450

// clip cuts a text, and not inside of a letter.
func clip(s string) string {
	if len(s) <= maxCopied {
		return s
	}
	return strings.ToValidUTF8(s[:maxCopied], "")
}

// addressed reports whether the message was written to one of some addresses,
// and not to a list that he is on.
func (m surveyed) addressed(own []string) bool {
	for _, r := range m.recipients {
		if contains(own, r) {
			return true
		}
	}
	return false
}

// readAnswer reads the user's text.
func readAnswer(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = errors.New(path + " is too large")
	}
	return string(text), err
}

// respond queues the answer, without a sender: nothing answers that.
func (v vacation) respond(w world.World, sender, recipient string, m surveyed, text string) int {
	queueProgram, _ := w.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: w.Home, QueueProgram: queueProgram, Environ: w.Environ})
	if err == nil {
		defer s.Abort()
		_, err = io.WriteString(s, v.answer(w, sender, recipient, m, text))
	}
	if err == nil {
		err = errors.Join(s.Sender(""), s.Recipient(sender))
	}
	var qp string
	if err == nil {
		qp, err = s.Commit()
	}
	if err != nil {
		forget(v.memory, sender)
		code := refused(w, responder, err)
		if fate.ClassOf(err) == fate.Permanent {
			return exitDone // that is no reason to bounce his message
		}
		return code
	}
	_, _ = io.WriteString(w.Stderr, responder+": qp "+qp+"\n")
	return exitDone
}

// answer is the message (RFC 3834 section 3.1). The user's text may begin with
// fields of its own, From and such.
func (v vacation) answer(w world.World, sender, recipient string, m surveyed, text string) string {
	own, body := splitAnswer(text)
	has := map[string]bool{}
	fields(own, func(name, _ string) { has[name] = true })
	now := w.Clock.Now()
	var b strings.Builder
	add := func(name, value string) {
		if !has[strings.ToLower(name)] && value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	add("Date", maildate.Header(now))
	_, domain, _ := cutLast(recipient, '@')
	add("Message-ID", fmt.Sprintf("<%s.%d.%s@%s>", now.UTC().Format("20060102150405"), unix.Getpid(), responder, domain))
	add("From", quoted(recipient))
	add("To", quoted(sender))
	add("Subject", v.subjectOf(m))
	add("In-Reply-To", m.id)
	add("References", strings.TrimSpace(m.references+" "+m.id))
	b.WriteString("Auto-Submitted: auto-replied\n") // whatever his own fields say
	if !has["mime-version"] && !has["content-type"] {
		b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n")
	}
	b.WriteString(own)
	b.WriteString("\n" + body)
	if !strings.HasSuffix(body, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}

func (v vacation) subjectOf(m surveyed) string {
	if v.subject != "" {
		return v.subject
	}
	return strings.TrimSpace("Auto: " + m.subject)
}

// quoted is an envelope address as a field has it.
func quoted(envelope string) string {
	local, domain, _ := cutLast(envelope, '@')
	return header.Addr{Local: local, Host: domain}.Quoted()
}

// splitAnswer splits a text that begins with fields from those.
func splitAnswer(text string) (own, body string) {
	if _, isField := header.Name(firstLine(text)); !isField {
		return "", text
	}
	own, body, found := strings.Cut(text, "\n\n")
	if !found {
		return "", text
	}
	for line := range strings.Lines(own) {
		if _, isField := header.Name(line); !isField && !header.Continues(line) {
			return "", text // "Dear all: ..." is no field
		}
	}
	return own + "\n", body
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
