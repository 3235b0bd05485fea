package logtail

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/logread"
	"postrider/qmail-send/top/wording"
)

const (
	// maxEvents is how many lines of the log are kept for each filter: lines about
	// what goes well do not push out the others.
	maxEvents = 1000
	// maxWords is how much of a line is kept.
	MaxWords = 500
	// maxDeliveries bounds the deliveries of which the recipient is known.
	maxDeliveries = 20_000
)

// Grave tells how much a line wants to be looked at.
type Grave byte

const (
	Usual   Grave = iota
	Trouble       // of a message: it failed, or waits
	Warning       // of this host
)

// Event is a line of the log.
type Event struct {
	At    time.Time // zero if the line does not say it
	Words string
	Grave Grave
}

// Log is what has come last.
type Log struct {
	Events     [FilterCount][]Event
	recipients map[string]string // of deliveries that were begun
	Running    map[string][2]int // of the last status line: in use, and the limit, by channel
	Alert      Event             // the last warning
	Live       bool              // what comes now was written now
}

func NewLog() *Log {
	return &Log{recipients: make(map[string]string), Running: make(map[string][2]int)}
}

// Take takes up a line.
func (g *Log) Take(raw string, now time.Time) {
	at, text, l := parse(raw, now)
	if l.Event == "status" {
		g.status(l)
		return
	}
	if at.IsZero() && g.Live {
		at = now
	}
	e := Event{At: at, Words: wording.Cut(legible.ASCII(g.words(l, text)), MaxWords), Grave: gravity(l.Event)}
	if e.Grave == Warning {
		g.Alert = e
	}
	for show := range g.Events {
		if !Filter(show).passes(e) {
			continue
		}
		g.Events[show] = append(g.Events[show], e)
		if n := len(g.Events[show]); n >= 2*maxEvents {
			g.Events[show] = slices.Clone(g.Events[show][n-maxEvents:])
		}
	}
}

// status keeps how many deliveries are under way; such lines are not shown.
func (g *Log) status(l logread.Line) {
	for _, channel := range []string{"local", "remote"} {
		n, err := strconv.Atoi(l.Get(channel))
		limit, limitErr := strconv.Atoi(l.Get(channel + "limit"))
		if err == nil && limitErr == nil {
			g.Running[channel] = [2]int{n, limit}
		}
	}
}

// words is a line for people: results have the recipient in front, and blanks
// again where the log has underscores.
func (g *Log) words(l logread.Line, text string) string {
	id := l.Get("delivery")
	switch l.Event {
	case "starting delivery":
		if len(g.recipients) >= maxDeliveries {
			clear(g.recipients) // those that never ended are among them
		}
		g.recipients[id] = l.Get("recipient")
	case "success", "failure", "deferral", "mangled":
		recipient, known := g.recipients[id]
		if !known {
			recipient = "delivery " + id
		}
		delete(g.recipients, id)
		return l.Event + " " + recipient + ": " + strings.TrimSpace(strings.ReplaceAll(l.Get("said"), "_", " "))
	}
	return text
}

// gravity tells what a kind of line is.
func gravity(event string) Grave {
	switch event {
	case "alert", "fatal", "warning":
		return Warning
	case "failure", "deferral", "mangled", "bounce", "double bounce", "triple bounce":
		return Trouble
	}
	return Usual
}

// parse takes a line apart, in either of the forms of control/logformat, and
// returns its text without what loggers put in front.
func parse(raw string, now time.Time) (at time.Time, text string, l logread.Line) {
	at, text = logread.Stamp(raw, now)
	if strings.HasPrefix(text, "{") {
		if at, l, ok := parseJSON(text); ok {
			return at, sentence(l), l
		}
	}
	return at, text, logread.Parse(text)
}

// parseJSON reads what logread writes as JSON.
func parseJSON(text string) (at time.Time, l logread.Line, ok bool) {
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return at, l, false
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := fmt.Sprint(members[name])
		if n, isNumber := members[name].(float64); isNumber {
			value = strconv.FormatFloat(n, 'f', -1, 64)
		}
		switch name {
		case "time":
			at, _ = time.Parse(time.RFC3339, value) // without it, it has none
		case "program":
			l.Program = value
		case "event":
			l.Event = value
		case "text":
			l.Text = value
		default:
			l.Facts = append(l.Facts, logread.Fact{Name: name, Value: value})
		}
	}
	return at, l, l.Event != ""
}

// sentence writes a line that was JSON.
func sentence(l logread.Line) string {
	words := []string{l.Event}
	if l.Program != "" && l.Program != "qmail-send" {
		words = []string{l.Program + ": " + l.Event}
	}
	for _, f := range l.Facts {
		words = append(words, f.Name+"="+f.Value)
	}
	if l.Text != "" {
		words = append(words, l.Text)
	}
	return strings.Join(words, " ")
}
