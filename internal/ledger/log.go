package ledger

import (
	"regexp"
	"time"
)

// attempt is a delivery that the scheduler's log says it began.
type attempt struct {
	message, recipient string
	start              time.Time
	result             string // "success", "failure", "deferral", or none
	resultAt           time.Time
}

// history is what the log says.
type history struct {
	attempts map[string][]*attempt // by message and recipient
	ended    map[string]time.Time  // messages that are done
	first    map[string]time.Time  // when a message was first named
}

var (
	startLine  = regexp.MustCompile(`^starting delivery (\d+): msg (\d+) to (?:local|remote) (\S+)$`)
	resultLine = regexp.MustCompile(`^delivery (\d+): (success|failure|deferral): `)
	endLine    = regexp.MustCompile(`^end msg (\d+)$`)
	newLine    = regexp.MustCompile(`^(?:new msg|info msg) (\d+)`)
)

func key(message, recipient string) string { return message + " " + recipient }

func readLog(lines []LogLine) history {
	h := history{attempts: make(map[string][]*attempt), ended: make(map[string]time.Time), first: make(map[string]time.Time)}
	running := make(map[string]*attempt) // by delivery number of the current run
	for _, line := range lines {
		if m := startLine.FindStringSubmatch(line.Text); m != nil {
			a := &attempt{message: m[2], recipient: m[3], start: line.When}
			running[m[1]] = a
			h.attempts[key(m[2], m[3])] = append(h.attempts[key(m[2], m[3])], a)
		} else if m := resultLine.FindStringSubmatch(line.Text); m != nil {
			if a := running[m[1]]; a != nil {
				a.result, a.resultAt = m[2], line.When
				delete(running, m[1])
			}
		} else if m := endLine.FindStringSubmatch(line.Text); m != nil {
			h.ended[m[1]] = line.When
		} else if m := newLine.FindStringSubmatch(line.Text); m != nil {
			if _, known := h.first[m[1]]; !known {
				h.first[m[1]] = line.When
			}
		}
	}
	return h
}

// slack is how far apart a log line and the moment it speaks of may be: the
// log is a pipe that somebody reads when he gets the processor.
const slack = 2 * time.Second

// excuses counts the attempts of a message for a recipient that a fault hit
// between hand-over and the moment when success was written down for good.
func (h history) excuses(message, recipient string, faults []Fault) int {
	n := 0
	for _, a := range h.attempts[key(message, recipient)] {
		end, known := h.ended[message]
		if a.result == "deferral" || a.result == "failure" {
			end, known = a.resultAt, true
		}
		if hitBetween(faults, a.start, end, known) {
			n++
		}
	}
	return n
}

// unlogged reports whether a fault may have swallowed the log of an attempt:
// it hit while the message was in the queue.
func (h history) unlogged(message string, faults []Fault) bool {
	first, known := h.first[message]
	if !known {
		return len(faults) > 0
	}
	end, ended := h.ended[message]
	return hitBetween(faults, first, end, ended)
}

func hitBetween(faults []Fault, start, end time.Time, hasEnd bool) bool {
	for _, f := range faults {
		if f.When.After(start.Add(-slack)) && (!hasEnd || f.When.Before(end.Add(slack))) {
			return true
		}
	}
	return false
}

// successes counts the success lines.
func (h history) successes(message, recipient string) int {
	n := 0
	for _, a := range h.attempts[key(message, recipient)] {
		if a.result == "success" {
			n++
		}
	}
	return n
}
