package trace

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// tell writes a story in words, and how it stands at its end.
func tell(out io.Writer, story []found) error {
	b := &strings.Builder{}
	for _, one := range story {
		words := one.words()
		if words == "" {
			continue
		}
		if !one.at.IsZero() {
			b.WriteString(one.at.Local().Format("2006-01-02 15:04:05.000") + "  ")
		}
		b.WriteString(words + "\n")
	}
	for _, line := range standing(story) {
		b.WriteString("  => " + line + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// words says what a line says; nothing if another line says the same.
func (one *found) words() string {
	if one.Program != "qmail-send" {
		return one.clientWords()
	}
	msg := one.Get("msg")
	switch one.Event {
	case "new":
		return ""
	case "info":
		return fmt.Sprintf("%s: queued: %s bytes from <%s>, by uid %s", msg, one.Get("bytes"), one.Get("from"), one.Get("uid"))
	case "starting delivery":
		return fmt.Sprintf("%s: delivery %s begins: %s %s", msg, one.Get("delivery"), one.delivery.channel, one.delivery.recipient)
	case "success", "failure", "deferral":
		return fmt.Sprintf("%s: %s %s: %s", one.delivery.msg, outcomeWords[one.Event], one.delivery.recipient, readable(one.Get("said")))
	case "mangled":
		return fmt.Sprintf("%s: put off for %s: the delivery program's report was mangled", one.delivery.msg, one.delivery.recipient)
	case "bounce", "delay", "success notice":
		return fmt.Sprintf("%s: %s, by message %s", msg, noticeWords[one.Event], one.Get("qp"))
	case "double bounce", "triple bounce":
		return msg + ": a " + one.Event + " is dropped: nobody is left to tell"
	case "order":
		return msg + ": uid " + one.Get("uid") + " orders: " + one.Get("order")
	case "end":
		return msg + ": out of the queue"
	}
	return one.Event + ": " + one.Text
}

var (
	outcomeWords = map[string]string{"success": "delivered to", "failure": "failed for", "deferral": "put off for"}
	noticeWords  = map[string]string{"bounce": "the sender is told of the failure", "delay": "the sender is told of the delay",
		"success notice": "the sender is told of the success"}
)

// clientWords is the line of a front end, whose facts speak for themselves.
func (one *found) clientWords() string {
	b := &strings.Builder{}
	b.WriteString(one.Program + ": " + one.Event)
	for _, fact := range one.Facts {
		b.WriteString(" " + fact.Name + "=" + fact.Value)
	}
	if one.Text != "" {
		b.WriteString(" " + one.Text)
	}
	return b.String()
}

// readable puts back the blanks and line ends that a log line cannot have.
func readable(said string) string {
	said = strings.TrimRight(said, "/")
	return strings.ReplaceAll(strings.ReplaceAll(said, "./", ". "), "_", " ")
}

// standing says where each recipient of each message is at the end of the story.
func standing(story []found) []string {
	type key struct{ msg, recipient string }
	type state struct {
		what string
		at   time.Time
		said string
	}
	var order []key
	states := make(map[key]state)
	ended := make(map[string]bool)
	for _, one := range story {
		if one.Event == "end" {
			ended[one.Get("msg")] = true
		}
		if one.delivery.msg == "" {
			continue
		}
		k := key{one.delivery.msg, one.delivery.recipient}
		if _, known := states[k]; !known {
			order = append(order, k)
		}
		switch one.Event {
		case "success":
			states[k] = state{"delivered", one.at, ""}
		case "failure":
			states[k] = state{"failed", one.at, one.Get("said")}
		case "starting delivery":
			if states[k].what == "" {
				states[k] = state{"under way", one.at, ""}
			}
		default:
			states[k] = state{"waits", one.at, one.Get("said")}
		}
	}
	var lines []string
	for _, k := range order {
		s := states[k]
		line := k.msg + " to " + k.recipient + ": " + s.what
		if s.what == "waits" && ended[k.msg] {
			line = k.msg + " to " + k.recipient + ": given up"
		}
		if s.said != "" {
			line += ": " + readable(s.said)
		}
		lines = append(lines, line)
	}
	return lines
}
