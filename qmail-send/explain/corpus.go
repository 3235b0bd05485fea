package explain

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"postrider/internal/address"
	"postrider/internal/legible"
	"postrider/internal/world"
)

// maxCorpus is how many different messages are compared.
const maxCorpus = 1 << 20

// difference is a message that two configurations treat differently.
type difference struct {
	Now   *section `json:"now"`
	Tried *section `json:"tried"`
}

// runCorpus explains many messages: what becomes of each, or, where a changed
// configuration is tried, of which something else does.
func runCorpus(w world.World, o options) (code int, err error) {
	usual := o
	usual.control = ""
	now, err := newExplainer(w, usual, "")
	if err != nil {
		return 0, err
	}
	defer now.close()
	messages, err := readCorpus(o, now)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w.Stdout)
	if o.control == "" {
		code, err = outcomes(out, o, now, messages)
	} else {
		code, err = compare(w, out, o, now, messages)
	}
	return code, errors.Join(err, out.Flush())
}

// outcomes says of each message what becomes of it.
func outcomes(out io.Writer, o options, now *explainer, messages []message) (code int, err error) {
	for _, m := range messages {
		s := now.explain(m)
		code = max(code, exitOf(s.worst()))
		if o.json {
			err = writeJSON(out, s)
		} else {
			_, err = fmt.Fprintf(out, "%s from %s: %s\n", legible.Line(m.recipient), legible.Line(orNull(m.sender)), legible.Line(strings.Join(s.outcome(), "; ")))
		}
		if err != nil {
			return 0, err
		}
	}
	return code, nil
}

// compare says what differs under the configuration that is tried.
func compare(w world.World, out io.Writer, o options, now *explainer, messages []message) (code int, err error) {
	tried, err := newExplainer(w, o, o.control)
	if err != nil {
		return 0, err
	}
	defer tried.close()
	for _, m := range messages {
		d := difference{now.explain(m), tried.explain(m)}
		if slices.Equal(d.Now.outcome(), d.Tried.outcome()) {
			continue
		}
		code = exitDiffers
		if o.json {
			err = writeJSON(out, d)
		} else {
			_, err = io.WriteString(out, d.text())
		}
		if err != nil {
			return 0, err
		}
	}
	return code, nil
}

// text has the lines of both outcomes, and under each what decided it.
func (d difference) text() string {
	var b strings.Builder
	put := func(format string, args ...any) { b.WriteString(legible.Line(fmt.Sprintf(format, args...)) + "\n") }
	client := ""
	if d.Now.Client != "" {
		client = ", client " + d.Now.Client
	}
	put("%s from %s%s", d.Now.Recipient, orNull(d.Now.Sender), client)
	for _, side := range []struct {
		mark string
		s    *section
		not  *section
	}{{"-", d.Now, d.Tried}, {"+", d.Tried, d.Now}} {
		for _, line := range side.s.outcome() {
			put("%s %s", side.mark, line)
		}
		for _, each := range side.s.Steps {
			if each.File != "" && !slices.ContainsFunc(side.not.Steps, func(o step) bool { return o.About == each.About && o.Text == each.Text }) {
				put("%s     %s: %s%s", side.mark, each.About, each.Text, where(each))
			}
		}
	}
	return b.String()
}

// readCorpus reads the messages of a file, each once: of a log of qmail-send, or
// lines of a recipient, a sender and a client, of which the last two may be missing.
func readCorpus(o options, now *explainer) ([]message, error) {
	f, err := os.Open(o.corpus)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	log := &logReader{senders: make(map[string]string), strip: now.table.Strip}
	seen := make(map[string]bool)
	var all []message
	odd := 0 // the first line that is neither; a log has others
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		m, found := log.line(line)
		if !found && !log.seen && strings.TrimSpace(line) != "" && line[0] != '#' {
			if m, found = plainLine(line, o); !found && odd == 0 {
				odd = number
			}
		}
		key := m.sender + "\x00" + m.recipient + "\x00" + m.client
		if !found || seen[key] {
			continue
		}
		if len(all) == maxCorpus {
			return nil, fmt.Errorf("%s has more than %d different messages", o.corpus, maxCorpus)
		}
		seen[key] = true
		all = append(all, m)
	}
	if odd > 0 && !log.seen {
		return nil, fmt.Errorf("%s, line %d: a recipient, a sender and a client are needed, or a log of qmail-send", o.corpus, odd)
	}
	return all, lines.Err()
}

// plainLine reads a recipient, a sender and a client.
func plainLine(line string, o options) (m message, ok bool) {
	fields := strings.Fields(line)
	if len(fields) > 3 {
		return m, false
	}
	m = message{sender: o.sender, recipient: fields[0], client: o.client}
	if len(fields) > 1 {
		m.sender = strings.TrimSuffix(strings.TrimPrefix(fields[1], "<"), ">")
		if m.sender == fields[1] && !strings.Contains(m.sender, "@") {
			return m, false
		}
	}
	if len(fields) > 2 {
		m.client = fields[2]
		if _, err := netip.ParseAddr(m.client); err != nil {
			return m, false
		}
	}
	return m, isRecipient(m.recipient) && isSender(m.sender)
}

func isSender(s string) bool {
	_, err := address.New(s)
	return err == nil
}
