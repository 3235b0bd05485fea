package queuectl

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/queuecheck"
)

// Exit codes of check, beside exitOK: the queue is sound.
const (
	exitOwn   = 1 // there is what the suite takes care of by itself
	exitHands = 2 // there is what somebody must look at
)

// finding is one of check, for programs.
type finding struct {
	Path    string `json:"path"`
	Kind    string `json:"kind"`
	Level   string `json:"level"`
	What    string `json:"what"`
	Becomes string `json:"becomes"`
	Do      string `json:"do"`
	Mended  string `json:"mended,omitempty"`
}

// checked is what check has counted, for programs.
type checked struct {
	Running   bool  `json:"running"`
	Messages  int64 `json:"messages"`
	Tried     int64 `json:"tried"`
	Receiving int64 `json:"receiving"`
	Dropping  int64 `json:"dropping"`
	PutBack   int64 `json:"put_back"`
	Untried   int64 `json:"put_back_untried"`
	Own       int64 `json:"own"`
	Hands     int64 `json:"hands"`
	Unread    int64 `json:"unread"`
	Mended    int64 `json:"mended"`
}

// check is the command: is the queue sound?
func (r *run) check(operands []string) error {
	if len(operands) > 0 {
		return errUsage("check takes no message numbers: it looks at all of the queue")
	}
	owners, err := queuecheck.OwnersAt(r.world.Home)
	if err != nil {
		return err
	}
	sum, err := queuecheck.Run(queuecheck.Config{
		Layout: r.layout, Owners: owners, Clock: r.world.Clock, Pause: time.Sleep, Repair: r.repair, Report: r.finding,
	})
	if err != nil {
		return err
	}
	switch {
	case sum.Unread > 0:
		r.code = exitTemporary
	case sum.Hands > 0:
		r.code = exitHands
	case sum.Own > 0:
		r.code = exitOwn
	}
	if r.json {
		return r.object(struct {
			Summary checked `json:"summary"`
		}{checked(sum)})
	}
	_, err = r.out.WriteString(counted(sum))
	return err
}

// finding writes one.
func (r *run) finding(f queuecheck.Finding) error {
	if r.json {
		return r.object(finding{f.Path, string(f.Kind), f.Level.String(), f.What, f.Becomes, f.Do, f.Mended})
	}
	path := f.Path
	switch {
	case path == "":
		path = "queue"
	case legible.Text(path) != path || strings.ContainsAny(path, "\n\t"):
		path = strconv.QuoteToASCII(path)
	}
	lines := [][2]string{{path + ": ", f.What}, {"    then: ", f.Becomes}, {"    do:   ", f.Do}}
	if f.Mended != "" {
		lines = [][2]string{{path + ": ", f.What}, {"    done: ", f.Mended}}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(r.out, "%s%s\n", line[0], legible.Text(strings.ReplaceAll(line[1], "\n", " "))); err != nil {
			return err
		}
	}
	return nil
}

// counted is a summary in words.
func counted(s queuecheck.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "messages that are whole: %d, of which %d were tried before\n", s.Messages, s.Tried)
	if s.PutBack > 0 {
		fmt.Fprintf(&b, "put here long after they arrived (a restore, an import): %d\n", s.PutBack)
	}
	if s.Untried > 0 {
		fmt.Fprintf(&b, "of these without progress: %d; recipients who have them already get them again\n", s.Untried)
	}
	if n := s.Receiving + s.Dropping; n > 0 {
		fmt.Fprintf(&b, "being received: %d\n", n)
	}
	if s.Mended > 0 {
		fmt.Fprintf(&b, "put right: %d\n", s.Mended)
	}
	if s.Unread > 0 {
		fmt.Fprintf(&b, "could not be looked at: %d\n", s.Unread)
	}
	switch {
	case s.Own+s.Hands > 0:
		fmt.Fprintf(&b, "the suite takes care of: %d; somebody must look at: %d\n", s.Own, s.Hands)
	case s.Unread == 0:
		b.WriteString("the queue is sound\n")
	}
	return b.String()
}
