package top

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
)

const (
	// maxEvents is how many lines of the log are kept for each filter: lines about
	// what goes well do not push out the others.
	maxEvents = 1000
	// maxWords is how much of a line is kept.
	maxWords = 500
	// maxDeliveries bounds the deliveries of which the recipient is known.
	maxDeliveries = 20_000
)

// grave tells how much a line wants to be looked at.
type grave byte

const (
	usual   grave = iota
	trouble       // of a message: it failed, or waits
	warning       // of this host
)

// event is a line of the log.
type event struct {
	at    time.Time // zero if the line does not say it
	words string
	grave grave
}

// log is what has come last.
type log struct {
	events     [filterCount][]event
	recipients map[string]string // of deliveries that were begun
	running    map[string][2]int // of the last status line: in use, and the limit, by channel
	alert      event             // the last warning
	live       bool              // what comes now was written now
}

func newLog() *log {
	return &log{recipients: make(map[string]string), running: make(map[string][2]int)}
}

// take takes up a line.
func (g *log) take(raw string, now time.Time) {
	at, text, l := parse(raw, now)
	if l.Event == "status" {
		g.status(l)
		return
	}
	if at.IsZero() && g.live {
		at = now
	}
	e := event{at: at, words: cut(legible.ASCII(g.words(l, text)), maxWords), grave: gravity(l.Event)}
	if e.grave == warning {
		g.alert = e
	}
	for show := range g.events {
		if !filter(show).passes(e) {
			continue
		}
		g.events[show] = append(g.events[show], e)
		if n := len(g.events[show]); n >= 2*maxEvents {
			g.events[show] = slices.Clone(g.events[show][n-maxEvents:])
		}
	}
}

// status keeps how many deliveries are under way; such lines are not shown.
func (g *log) status(l logread.Line) {
	for _, channel := range []string{"local", "remote"} {
		n, err := strconv.Atoi(l.Get(channel))
		limit, limitErr := strconv.Atoi(l.Get(channel + "limit"))
		if err == nil && limitErr == nil {
			g.running[channel] = [2]int{n, limit}
		}
	}
}

// words is a line for people: results have the recipient in front, and blanks
// again where the log has underscores.
func (g *log) words(l logread.Line, text string) string {
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
func gravity(event string) grave {
	switch event {
	case "alert", "fatal", "warning":
		return warning
	case "failure", "deferral", "mangled", "bounce", "double bounce", "triple bounce":
		return trouble
	}
	return usual
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
