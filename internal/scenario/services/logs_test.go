package services

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const logDir = "/var/log/qmail"

// logFiles are the files of a log directory of svlogd, multilog or s6-log, the
// oldest first: the names of those that were closed are times.
func logFiles(t *testing.T, h *testhost.Host) []string {
	t.Helper()
	files, err := filepath.Glob(h.Path(logDir) + "/@*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return append(files, h.Path(logDir+"/current"))
}

// logLines reads all of them. A logger that begins a new file meanwhile changes
// their names: then they are read again.
func logLines(t *testing.T, h *testhost.Host) []ledger.LogLine {
	t.Helper()
	for {
		files := logFiles(t, h)
		var lines []ledger.LogLine
		var err error
		for _, file := range files {
			var more []ledger.LogLine
			if more, err = linesOf(t, file); err != nil {
				break
			}
			lines = append(lines, more...)
		}
		if again := logFiles(t, h); err == nil && slices.Equal(files, again) {
			return lines
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func linesOf(t *testing.T, file string) ([]ledger.LogLine, error) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var lines []ledger.LogLine
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		stamp, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		when, err := stamped(stamp)
		if err != nil {
			t.Fatalf("%s: %q: %v", file, line, err)
		}
		lines = append(lines, ledger.LogLine{When: when, Text: rest})
	}
	return lines, nil
}

// stamped reads the time that a logger puts in front of a line: a TAI64N label,
// or the UTC of svlogd -tt.
func stamped(stamp string) (time.Time, error) {
	label, isTAI := strings.CutPrefix(stamp, "@")
	if !isTAI {
		return time.Parse("2006-01-02_15:04:05.00000", stamp)
	}
	if len(label) != 24 {
		return time.Time{}, fmt.Errorf("%q is no TAI64N label", stamp)
	}
	seconds, err := strconv.ParseUint(label[:16], 16, 64)
	if err != nil {
		return time.Time{}, err
	}
	nanoseconds, err := strconv.ParseUint(label[16:], 16, 32)
	if err != nil {
		return time.Time{}, err
	}
	// daemontools, runit and skalibs count 10 s of leap seconds, and no more.
	return time.Unix(int64(seconds-1<<62)-10, int64(nanoseconds)), nil
}

// logHas tells whether the log has a line with this text, behind the first n.
func logHas(t *testing.T, h *testhost.Host, n int, text string) bool {
	t.Helper()
	lines := logLines(t, h)
	return slices.ContainsFunc(lines[min(n, len(lines)):], func(l ledger.LogLine) bool { return strings.Contains(l.Text, text) })
}

var startedLine, resultLine = regexp.MustCompile(`^starting delivery (\d+): `), regexp.MustCompile(`^delivery (\d+): `)

// whole checks that the log of one life of the suite has each line: deliveries are
// numbered from 1 without a gap, each has a result, and the last line is there.
func whole(t *testing.T, lines []ledger.LogLine) {
	t.Helper()
	started, results := 0, map[string]bool{}
	for _, line := range lines {
		if m := startedLine.FindStringSubmatch(line.Text); m != nil {
			if started++; m[1] != strconv.Itoa(started) {
				t.Fatalf("delivery %d has no line; the next one is %q", started, line.Text)
			}
		}
		if m := resultLine.FindStringSubmatch(line.Text); m != nil {
			results[m[1]] = true
		}
	}
	if started == 0 || len(results) != started {
		t.Errorf("%d deliveries have %d results", started, len(results))
	}
	if n := len(lines); n == 0 || !strings.HasPrefix(lines[n-1].Text, "qmail-start: stopped") {
		t.Errorf("the log ends with %q", lines[max(0, n-3):])
	}
}
