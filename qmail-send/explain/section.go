package explain

import (
	"slices"

	"postrider/internal/wire/steps"
)

// Verdict is what becomes of a message.
type Verdict string

// The verdicts.
const (
	Refused   Verdict = "refused"   // by qmail-smtpd, for good
	PutOff    Verdict = "put off"   // by qmail-smtpd, for now
	Delivered Verdict = "delivered" // as the user's file says
	Sent      Verdict = "sent"      // to another host
	Discarded Verdict = "discarded"
	Bounced   Verdict = "bounced"
	Deferred  Verdict = "deferred" // queued, and tried again
	Unseen    Verdict = "unknown"  // who asks may not see that
)

// step is something that was found, and what says so.
type step struct {
	About string `json:"about"`
	Text  string `json:"text"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
}

// section is what becomes of one message.
type section struct {
	Sender    string   `json:"sender"`
	Recipient string   `json:"recipient"`
	Client    string   `json:"client,omitempty"`
	Steps     []step   `json:"steps"`
	Verdict   Verdict  `json:"verdict"`
	Text      string   `json:"text,omitempty"`    // of a refusal or a bounce
	Effects   []string `json:"effects,omitempty"` // what is done
	// Forwards are the messages that it becomes.
	Forwards []*section `json:"forwards,omitempty"`
}

func (s *section) say(about, text string, at steps.Place) {
	s.Steps = append(s.Steps, step{about, text, at.File, at.Line})
}

// take adds what a program found.
func (s *section) take(a steps.Answer) {
	for _, each := range a.Steps {
		s.say(each.About, each.Text, each.Place)
	}
}

func (s *section) end(v Verdict, text string) { s.Verdict, s.Text = v, text }

// outcome is the section without what led to it: equal outcomes are equal mail.
func (s *section) outcome() []string {
	line := string(s.Verdict)
	if s.Text != "" {
		line += ": " + s.Text
	}
	all := append([]string{line}, slices.Sorted(slices.Values(s.Effects))...)
	for _, f := range s.Forwards {
		for i, each := range f.outcome() {
			if i == 0 {
				each = f.Recipient + " from " + orNull(f.Sender) + " " + each
			}
			all = append(all, "  "+each)
		}
	}
	return all
}

// worst is the verdict that the exit code tells of: that of the message and of
// those that it becomes, as far as they can be seen.
func (s *section) worst() Verdict {
	worst := s.Verdict
	for _, f := range s.Forwards {
		if v := f.worst(); v != Unseen && exitOf(v) > exitOf(worst) {
			worst = v
		}
	}
	return worst
}

func orNull(sender string) string {
	if sender == "" {
		return "<>"
	}
	return sender
}
