package ledger

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// field is the header field that carries a message's id.
const field = "X-Ledger-Id"

// Compose returns a message of about size bytes that can be recognised
// wherever it turns up, whole or in part: the id is in the header and in every
// line of the body, and the body's last line says how long it is.
func Compose(id, from, to string, size int) (text, hash string) {
	head := fmt.Sprintf("From: %s\nTo: %s\nSubject: ledger %s\n%s: %s\n\n", from, to, id, field, id)
	var body strings.Builder
	for line := 0; head == "" || len(head)+body.Len()+2*len(id) < size; line++ {
		fmt.Fprintf(&body, "%s line %d: abcdefghijklmnopqrstuvwxyz.\n", id, line)
	}
	fmt.Fprintf(&body, "%s ends after %d bytes\n", id, body.Len())
	return head + body.String(), Hash(body.String())
}

// Hash is the hash of a body as Intent carries it.
func Hash(body string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(body))) }

// split separates header and body.
func split(text string) (head, body string) {
	head, body, _ = strings.Cut(text, "\n\n")
	return head + "\n", body
}

// ledgerID finds the id in a header.
func ledgerID(head string) string { return value(head, field) }

// value returns the first value of a header field.
func value(head, name string) string {
	for line := range strings.Lines(head) {
		n, v, found := strings.Cut(line, ":")
		if found && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// invoked is the line that says which entry of the queue a message was; the
// topmost one of this host counts.
var invoked = regexp.MustCompile(`(?m)^Received: \(qmail (\d+) invoked `)

// queueID returns the number that the log calls a message by.
func queueID(head string) string {
	if m := invoked.FindStringSubmatch(head); m != nil {
		return m[1]
	}
	return ""
}

// QueueIDs returns the entries of the queue that a message was, the first one
// first: more than one if it was forwarded.
func QueueIDs(text string) (ids []string) {
	head, _ := split(text)
	for _, m := range invoked.FindAllStringSubmatch(head, -1) {
		ids = append(ids, m[1])
	}
	slices.Reverse(ids)
	return ids
}

// Values returns all values of a header field, the topmost first.
func Values(text, name string) (values []string) {
	head, _ := split(text)
	for line := range strings.Lines(head) {
		if n, v, found := strings.Cut(line, ":"); found && strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// Whole tells whether a body is as long as its last line says.
func Whole(text string) bool {
	_, body := split(text)
	i := strings.LastIndexByte(strings.TrimSuffix(body, "\n"), '\n')
	var id string
	var size int
	n, err := fmt.Sscanf(body[i+1:], "%s ends after %d bytes\n", &id, &size)
	return n == 2 && err == nil && size == i+1
}

// rawID finds ids in files of whatever format.
var rawID = regexp.MustCompile(`(?m)^` + field + `: ([^\s]+)\r?$`)

// Bounce is a message that says that others could not be delivered.
type Bounce struct {
	ID         string   // of the message that comes back
	Recipients []string // that failed
}

// The marks of qmail's bounce format.
const (
	bounceStart  = "Hi. This is the "
	bounceBreak  = "--- Below this line is a copy of the message.\n\n"
	doubledBreak = "--- Below this line is the original bounce.\n\n"
)

// ParseBounce reads a bounce in qmail's format (QSBMF).
func ParseBounce(text string) (b Bounce, isBounce bool) {
	_, body := split(text)
	if !strings.HasPrefix(body, bounceStart) {
		return b, false
	}
	report, returned, found := strings.Cut(body, bounceBreak)
	if !found {
		report, returned, found = strings.Cut(body, doubledBreak)
	}
	if !found {
		return b, false
	}
	for paragraph := range strings.SplitSeq(report, "\n\n") {
		line, _, _ := strings.Cut(paragraph, "\n")
		if strings.HasPrefix(line, "<") && strings.HasSuffix(line, ">:") {
			b.Recipients = append(b.Recipients, line[1:len(line)-2])
		}
	}
	if m := rawID.FindStringSubmatch(returned); m != nil {
		b.ID = m[1]
	}
	return b, true
}

// Identify returns the id of a message, empty if it has none, and the hash of
// its body as Intent carries it.
func Identify(text string) (id, hash string) {
	head, body := split(text)
	return ledgerID(head), Hash(body)
}
