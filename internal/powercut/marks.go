package powercut

import (
	"regexp"
	"strings"
)

// marker finds what was said to the outside in what was written to sockets,
// and in ends of programs.
type marker struct {
	p        *parser
	dropped  map[int]Inode // the last file that a process left in drop/
	sessions map[string]*session
}

// session is an SMTP connection to another host.
type session struct {
	id    string // of the entry that is being sent
	final bool   // the next reply is the one to the message
}

func newMarker(p *parser) marker {
	return marker{p: p, dropped: make(map[int]Inode), sessions: make(map[string]*session)}
}

var (
	// accepted is the spool's answer on a submit connection (internal/wire/submit).
	accepted = regexp.MustCompile(`K\x00\x00\x00\x14(\d{20})`)
	// said is the answer of qmail-smtpd to a message.
	said = regexp.MustCompile(`(?m)^250[ -].* qp (\d{20})\r?$`)
	// results begins an answer of qmail-send to an order (internal/wire/manage),
	// obeyed is what it says of an entry with which it is done.
	results = regexp.MustCompile(`(?s)^c..\d{20}[a-z]\x00`)
	obeyed  = regexp.MustCompile(`(\d{20})k\x00`)
	// invoked is the line by which an entry is known in what is sent.
	invoked = regexp.MustCompile(`(?m)^Received: \(qmail (\d{20}) invoked `)
)

// promisers are programs whose exit code 0 is a promise.
var promisers = map[string]bool{"sendmail": true, "qmail-queue": true, "qmail-inject": true}

func (m *marker) call(c *call) error {
	switch c.name {
	case "exit_group":
		if file := m.dropped[m.p.process(c)]; promisers[c.program] && c.args[0] == "0" && file != 0 {
			m.add(Mark{Kind: Dropped, File: file, At: c.begin})
		}
	case "write", "sendto":
		return m.wrote(c, text)
	case "writev", "sendmsg":
		return m.wrote(c, vector)
	case "read", "recvfrom":
		return m.read(c)
	}
	return nil
}

func (m *marker) add(mark Mark) { m.p.trace.Marks = append(m.p.trace.Marks, mark) }

func (m *marker) wrote(c *call, decode func(string) (string, error)) error {
	socket := fileOf(c.args[0]).name
	if !strings.HasPrefix(socket, "socket:") || strings.Contains(c.args[1], "nlmsg_") {
		return nil
	}
	s, err := decode(c.args[1])
	if err != nil {
		return err
	}
	switch c.program {
	case "qmail-spool":
		m.accept(c, accepted, s)
	case "qmail-smtpd":
		m.accept(c, said, s)
	case "qmail-send":
		if results.MatchString(s) {
			for _, found := range obeyed.FindAllStringSubmatch(s, -1) {
				m.add(Mark{Kind: Obeyed, ID: found[1], At: c.begin})
			}
		}
	case "qmail-remote":
		if found := invoked.FindStringSubmatch(strings.ReplaceAll(s, "\r\n", "\n")); found != nil {
			m.session(socket).id = found[1]
		}
	}
	return nil
}

// accept counts from the beginning of the call: the peer may read before the
// writer knows that it wrote.
func (m *marker) accept(c *call, what *regexp.Regexp, s string) {
	for _, found := range what.FindAllStringSubmatch(s, -1) {
		m.add(Mark{Kind: Accepted, ID: found[1], At: c.begin})
	}
}

func (m *marker) session(socket string) *session {
	if m.sessions[socket] == nil {
		m.sessions[socket] = &session{}
	}
	return m.sessions[socket]
}

// read follows the replies of another host: the first one after 354 is the
// answer to the message.
func (m *marker) read(c *call) error {
	if c.program != "qmail-remote" || c.failed {
		return nil
	}
	socket := fileOf(c.args[0]).name
	if !strings.HasPrefix(socket, "socket:") {
		return nil
	}
	s, err := text(c.args[1])
	if err != nil {
		return nil // not shown since the call failed
	}
	in := m.session(socket)
	for line := range strings.Lines(s) {
		switch {
		case len(line) < 4 || line[3] == '-':
		case strings.HasPrefix(line, "354"):
			in.final = true
		case in.final:
			in.final = false
			if line[0] == '2' && in.id != "" {
				m.add(Mark{Kind: Sent, ID: in.id, At: c.end})
			}
		}
	}
	return nil
}
