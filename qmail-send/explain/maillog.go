package explain

import "strings"

// logReader finds messages in the lines of qmail-send's log: the sender in "info
// msg", recipients in "starting delivery". What is local there is as it was
// delivered: without the prepend that virtualdomains gave it, it is as it came.
type logReader struct {
	senders map[string]string // by number of the message
	strip   func(rewritten string) string
	seen    bool // there was a line of a log
}

// maxSenders bounds what is remembered of a log: of a number that comes again the
// last counts, and of a log that never ends the rest is without senders.
const maxSenders = 1 << 20

// line returns the message that a line tells of, if it tells of one.
func (l *logReader) line(line string) (m message, found bool) {
	if i := strings.Index(line, "info msg "); i >= 0 && isPrefix(line[:i]) {
		number, rest, _ := strings.Cut(line[i+len("info msg "):], ":")
		_, rest, _ = strings.Cut(rest, " from <")
		sender, _, ok := strings.Cut(rest, "> qp ")
		if ok && len(l.senders) < maxSenders {
			l.senders[number] = sender
		}
		l.seen = l.seen || ok
		return m, false
	}
	i := strings.Index(line, "starting delivery ")
	if i < 0 || !isPrefix(line[:i]) {
		return m, false
	}
	f := strings.Fields(line[i:])
	if len(f) != 8 || f[3] != "msg" || f[5] != "to" {
		return m, false
	}
	l.seen = true
	m = message{sender: l.senders[f[4]], recipient: f[7]}
	if f[6] == "local" {
		m.recipient = l.strip(f[7])
	}
	return m, isRecipient(m.recipient) && isSender(m.sender)
}

// isPrefix tells whether what stands before the words of a line may be a time, and
// the names that loggers put there.
func isPrefix(s string) bool { return s == "" || strings.HasSuffix(s, " ") }
