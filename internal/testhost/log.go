package testhost

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Log collects the lines a host's suite logs. Who waits for a line is woken
// by it.
type Log struct {
	mu      sync.Mutex
	before  int // lines that were forgotten
	lines   []LogLine
	changed chan struct{} // closed and replaced whenever a line comes
	closed  bool
}

// LogLine is a line without its line end.
type LogLine struct {
	When time.Time
	Text string
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// read takes lines from r until it ends.
func (l *Log) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadString('\n')
		if text != "" {
			l.add(strings.TrimSuffix(text, "\n"))
		}
		if err != nil {
			return
		}
	}
}

func (l *Log) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, LogLine{time.Now(), text})
	l.wake()
}

// wake is called with the lock held.
func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake()
}

// Len is the number of lines so far; Lines and Wait take it as the place to
// start from.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.before + len(l.lines)
}

// Forget drops the lines before number first, so that a long run does not
// keep them all. The others keep their numbers.
func (l *Log) Forget(first int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.index(first)
	l.lines, l.before = append([]LogLine(nil), l.lines[n:]...), l.before+n
}

// index returns where line number first is, or would be.
func (l *Log) index(first int) int { return min(max(0, first-l.before), len(l.lines)) }

// Lines returns the lines from number first on.
func (l *Log) Lines(first int) []LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]LogLine(nil), l.lines[l.index(first):]...)
}

// Timed returns all lines from number first on as one text, with the time
// since the first line in front.
func (l *Log) Timed(first int) string {
	var b strings.Builder
	lines := l.Lines(first)
	for _, line := range lines {
		fmt.Fprintf(&b, "%9.3f %s\n", line.When.Sub(lines[0].When).Seconds(), line.Text)
	}
	return b.String()
}

// Text returns all lines from number first on as one text.
func (l *Log) Text(first int) string {
	var b strings.Builder
	for _, line := range l.Lines(first) {
		b.WriteString(line.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Find returns the first line from number first on that matches, with its
// submatches in match[1:], and the number of the line after it.
func (l *Log) Find(first int, pattern *regexp.Regexp) (match []string, next int, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(first, pattern)
}

func (l *Log) find(first int, pattern *regexp.Regexp) ([]string, int, bool) {
	for i := l.index(first); i < len(l.lines); i++ {
		if match := pattern.FindStringSubmatch(l.lines[i].Text); match != nil {
			return match, l.before + i + 1, true
		}
	}
	return nil, max(first, l.before+len(l.lines)), false
}

// Wait waits for a line from number first on that matches.
func (l *Log) Wait(ctx context.Context, first int, pattern *regexp.Regexp) (match []string, next int, err error) {
	for {
		l.mu.Lock()
		match, next, found := l.find(first, pattern)
		changed, closed := l.changed, l.closed
		l.mu.Unlock()
		if found {
			return match, next, nil
		}
		first = next
		if closed {
			return nil, next, fmt.Errorf("no log line %q, and the host has ended", pattern)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, next, fmt.Errorf("no log line %q: %w", pattern, ctx.Err())
		}
	}
}

// Log returns the log of the host's suite.
func (h *Host) Log() *Log { return h.log }

// WaitForLog waits for a line that matches the pattern, from line number
// first of the log on, and returns the whole line with its submatches. Not
// seeing it fails the test and shows the log.
func (h *Host) WaitForLog(first int, pattern string) []string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(contextOf(h.t), patience)
	defer cancel()
	match, _, err := h.log.Wait(ctx, first, regexp.MustCompile(pattern))
	if err != nil {
		h.t.Fatalf("%s: %v\nlog:\n%s", h.Name, err, h.log.Timed(0))
	}
	return match
}
