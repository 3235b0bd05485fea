package queuectl

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/queuedir"
)

// chosen calls visit with the messages that are meant.
func (r *run) chosen(want reading, visit func(*message, *queuedir.Entry) error) error {
	seen := make(map[queuedir.ID]bool)
	s, err := newSource(r.layout, func(what string, err error) {
		if id, notID := queuedir.ParseID(what); notID == nil {
			seen[id] = true // it is there
		}
		r.unread(what, err)
	})
	if err != nil {
		return err
	}
	defer s.close()
	err = s.each(r.choice.ids, want, func(m *message, e *queuedir.Entry) error {
		seen[m.id] = true
		if !r.choice.matches(m) {
			return nil
		}
		return visit(m, e)
	})
	for _, id := range r.choice.ids {
		if err == nil && !seen[id] {
			r.failed = true
			r.complain("warning: %s: no such message, or not yours", id)
		}
	}
	return err
}

// unread tells of a message or directory that cannot be read; others go on.
func (r *run) unread(what string, err error) {
	r.failed = true
	r.complain("warning: %s: %v", what, err)
}

// list is the command.
func (r *run) list(operands []string) error {
	if err := r.choose(operands, false); err != nil {
		return err
	}
	count, bytes := 0, int64(0)
	err := r.chosen(reading{}, func(m *message, _ *queuedir.Entry) error {
		count++
		bytes += m.Size
		if r.json {
			return r.object(m)
		}
		return r.summary(m)
	})
	if err == nil && !r.json {
		_, err = fmt.Fprintf(r.out, "%d messages, %s\n", count, sized(bytes))
	}
	return err
}

// object writes a line of JSON.
func (r *run) object(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = legible.JSON(r.out).Write(append(b, '\n'))
	return err
}

// shownRecipients bounds the recipients of one message in a list.
const shownRecipients = 20

// summary writes what a list has of a message.
func (r *run) summary(m *message) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-8s %5s %7s  <%s>", m.ID, m.State, aged(r.choice.now.Sub(m.Arrived)), sized(m.Size), legible.Text(m.Sender))
	switch {
	case m.InFlight > 0:
		fmt.Fprintf(&b, "  %d under way", m.InFlight)
	case m.State == isHeld:
		b.WriteString("  " + legible.Text(m.HeldWhy))
	case m.Next != nil:
		fmt.Fprintf(&b, "  next %s", m.Next.UTC().Format("2006-01-02 15:04:05"))
	}
	b.WriteByte('\n')
	shown := 0
	for i := range m.Recipients {
		to := &m.Recipients[i]
		if to.Done != "" {
			continue
		}
		if shown++; shown > shownRecipients {
			fmt.Fprintf(&b, "      and %d more\n", m.left()-shownRecipients)
			break
		}
		b.WriteString("      " + to.words() + "\n")
	}
	_, err := io.WriteString(r.out, b.String())
	return err
}

// words is a recipient on one line.
func (to *recipient) words() string {
	s := to.Address
	if to.Original != "" {
		s += " (was " + to.Original + ")"
	}
	if to.Relay != "" {
		s += " via " + to.Relay
	}
	if to.Done != "" {
		s += ": " + to.Done
	}
	if to.Reason != "" {
		s += ": " + to.Reason
	}
	return legible.Text(s)
}

// show is the command.
func (r *run) show(operands []string) error {
	if err := r.choose(operands, true); err != nil {
		return err
	}
	return r.chosen(reading{history: true}, func(m *message, e *queuedir.Entry) error {
		var err error
		if m.Header, err = header(e); err != nil {
			return err
		}
		if r.json {
			return r.object(m)
		}
		return r.details(m, e)
	})
}

// details writes all that is known of a message.
func (r *run) details(m *message, e *queuedir.Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "message    %s\nstate      %s\n", m.ID, m.State)
	if m.HeldWhy != "" {
		fmt.Fprintf(&b, "because    %s\n", legible.Text(m.HeldWhy))
	}
	fmt.Fprintf(&b, "arrived    %s, %s ago\nbytes      %d\nsender     <%s>\nuid        %d\n",
		stamp(m.Arrived), aged(r.choice.now.Sub(m.Arrived)), m.Size, legible.Text(m.Sender), m.UID)
	if m.Next != nil {
		fmt.Fprintf(&b, "next try   %s\n", stamp(*m.Next))
	}
	if m.InFlight > 0 {
		fmt.Fprintf(&b, "under way  %d\n", m.InFlight)
	}
	for i := range m.Recipients {
		fmt.Fprintf(&b, "recipient  %d %s\n", i+1, m.Recipients[i].words())
	}
	for _, h := range m.History {
		b.WriteString("history    " + h.words() + "\n")
	}
	if !r.body {
		b.WriteString("\n" + legible.Text(m.Header) + "\n")
	}
	if _, err := io.WriteString(r.out, b.String()); err != nil || !r.body {
		return err
	}
	body, err := e.Body()
	if err != nil {
		return err
	}
	defer body.Close() // only read from
	if _, err := io.WriteString(r.out, "\n"); err != nil {
		return err
	}
	_, err = io.Copy(r.out, body)
	return err
}

// words is an event on one line.
func (h event) words() string {
	s := "-"
	if h.At != nil {
		s = stamp(*h.At)
	}
	s += "  " + h.What
	if n := len(h.Recipients); n > shownRecipients {
		s += fmt.Sprintf(" (%d recipients)", n)
	} else if n > 0 {
		s += " " + strings.Trim(strings.ReplaceAll(fmt.Sprint(h.Recipients), " ", ","), "[]")
	}
	if h.UID != nil {
		s += " by uid " + strconv.FormatUint(uint64(*h.UID), 10)
	}
	if h.Text != "" {
		s += ": " + h.Text
	}
	return legible.Text(s)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// aged is an age in two digits or so.
func aged(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

func sized(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%dB", n)
	case n < 10<<20:
		return fmt.Sprintf("%dkB", n>>10)
	}
	return fmt.Sprintf("%dMB", n>>20)
}
