package ledger

import (
	"fmt"
	"regexp"
	"time"
)

// attempt is a delivery that the scheduler's log says it began.
type attempt struct {
	message, recipient string
	life               int // of the scheduler: they number deliveries from 1
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
	life := 0
	for _, line := range lines {
		if m := startLine.FindStringSubmatch(line.Text); m != nil {
			if m[1] == "1" {
				life++
				clear(running)
			}
			a := &attempt{message: m[2], recipient: m[3], life: life, start: line.When}
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

const (
	// slack is how far apart a log line and the moment it speaks of may be:
	// the log is a pipe that somebody reads when he gets the processor.
	slack = 1500 * time.Millisecond
	// markTime is how long a success may be known to a process alone: until
	// it is written down for good, or the message removed. A fault within it
	// may repeat the delivery; that is the window which is published.
	markTime = 3 * time.Second
)

// explained is how often a message may have reached a recipient.
type explained struct {
	copies   int           // by the attempts in the log
	unlogged int           // by attempts whose line a fault may have swallowed
	window   time.Duration // the longest from a success to the fault that repeated it
	wrong    string        // an attempt that should not have been made
}

// explain goes through the attempts of a message for a recipient. begun is when
// its sender began. One without a result was under way when the scheduler died, one that was put off may
// have been carried out if a fault hit it, and after a success another comes
// only if the scheduler died before the success was written down.
func (h history) explain(message, recipient string, begun time.Time, faults []Fault) explained {
	var x explained
	attempts := h.attempts[key(message, recipient)]
	for i, a := range attempts {
		switch {
		case a.result == "":
			x.copies++
		case a.result != "success":
			if hitBetween(faults, a.start, a.resultAt, true) {
				x.copies++
			}
		default:
			x.copies++
			if i == len(attempts)-1 {
				break
			}
			next := attempts[i+1]
			after, hit := firstHit(faults, a.resultAt, next.start)
			if next.life == a.life || !hit || after > markTime {
				x.wrong = fmt.Sprintf("tried again %v after a success that was written down", next.start.Sub(a.resultAt))
			}
			x.window = max(x.window, after)
		}
	}
	first, known := h.first[message]
	if !known {
		first = begun
	}
	end, ended := h.ended[message]
	for _, f := range faults {
		if hitBetween([]Fault{f}, first, end, ended) {
			x.unlogged++
		}
	}
	// A fault may swallow the very first line about a message, too.
	if f, hit := lastHit(faults, begun, first); hit && !hitBetween([]Fault{f}, first, end, ended) {
		x.unlogged++
	}
	return x
}

// firstHit returns how long after start the first fault came, and whether
// there is one before end.
func firstHit(faults []Fault, start, end time.Time) (after time.Duration, hit bool) {
	for _, f := range faults {
		if f.When.After(start.Add(-slack)) && f.When.Before(end.Add(slack)) {
			return max(0, f.When.Sub(start)), true
		}
	}
	return 0, false
}

func lastHit(faults []Fault, start, end time.Time) (f Fault, hit bool) {
	for _, other := range faults {
		if hitBetween([]Fault{other}, start, end, true) {
			f, hit = other, true
		}
	}
	return f, hit
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
