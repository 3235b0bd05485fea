package handover

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxText is the most bytes of a text.
	MaxText = 64 << 10
	// MaxFiles is the most descriptors that are handed over.
	MaxFiles = 1000
	// version is that of the text.
	version = "1"
	begins  = "postrider handover "
	none    = -1
)

// ErrText is returned for a text that does not hold what it must.
var ErrText = errors.New("the hand-over is damaged")

// State is what a text says. Descriptors are numbers of the process that reads.
type State struct {
	Speaks               int // the version of the protocols
	Lock, Public, Manage int
	Logger               bool // there is one, with this pipe
	LogRead, LogWrite    int
	Sockets              []int
	Members              []Member
	Areas                []Area
}

// Area is memory in which processes count (internal/figures).
type Area struct {
	FD     int
	PID    int    // of who counts there, 0: nobody does
	Layout string // what is where
	Name   string // of the place of who counts
}

// Member is a process that runs.
type Member struct {
	Name    string
	PID     int
	Channel int       // -1: none
	Speaks  int       // the version of the protocols
	Until   time.Time // zero, or until when its sessions have time
}

// Files returns all descriptors that s speaks of.
func (s State) Files() []int {
	files := []int{s.Lock, s.Public, s.Manage}
	if s.Logger {
		files = append(files, s.LogRead, s.LogWrite)
	}
	files = append(files, s.Sockets...)
	for _, m := range s.Members {
		if m.Channel != none {
			files = append(files, m.Channel)
		}
	}
	for _, a := range s.Areas {
		files = append(files, a.FD)
	}
	return files
}

// Append appends the text of s. An error says that there is too much.
func (s State) Append(b []byte) ([]byte, error) {
	start := len(b)
	b = fmt.Appendf(b, "%s%s\nspeaks %d\nlock %d\npublic %d\nmanage %d\n", begins, version, s.Speaks, s.Lock, s.Public, s.Manage)
	if s.Logger {
		b = fmt.Appendf(b, "log %d %d\n", s.LogRead, s.LogWrite)
	}
	for _, fd := range s.Sockets {
		b = fmt.Appendf(b, "socket %d\n", fd)
	}
	for _, m := range s.Members {
		var until int64
		if !m.Until.IsZero() {
			until = m.Until.Unix()
		}
		if strings.ContainsRune(m.Name, '\n') {
			return nil, fmt.Errorf("the name %q cannot be handed over", m.Name)
		}
		b = fmt.Appendf(b, "member %d %d %d %d %s\n", m.PID, m.Channel, m.Speaks, until, m.Name)
	}
	for _, a := range s.Areas {
		if a.Layout == "" || strings.ContainsAny(a.Layout, " \n") || a.Name == "" || strings.ContainsRune(a.Name, '\n') {
			return nil, fmt.Errorf("the figures %q of %q cannot be handed over", a.Layout, a.Name)
		}
		b = fmt.Appendf(b, "figures %d %d %s %s\n", a.FD, a.PID, a.Layout, a.Name)
	}
	b = fmt.Appendf(b, "crc %08x\n", checksum(b[start:]))
	if len(b)-start > MaxText || len(s.Files()) >= MaxFiles {
		return nil, errors.New("there is too much to hand over")
	}
	return b, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Parse reads a text.
func Parse(text []byte) (State, error) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if other, found := strings.CutPrefix(string(first), begins); found && other != version && len(other) < 20 {
		return State{}, fmt.Errorf("the hand-over is of version %q, and this program knows %s: stop the suite and start it instead", other, version)
	}
	end := bytes.LastIndex(text, []byte("\ncrc ")) + 1
	if len(text) > MaxText || end == 0 || string(text[end:]) != fmt.Sprintf("crc %08x\n", checksum(text[:end])) {
		return State{}, ErrText
	}
	s := State{Speaks: none, Lock: none, Public: none, Manage: none}
	for i, line := range strings.Split(string(text[:end-1]), "\n") {
		if i > 0 && s.take(line) != nil || i == 0 && line != begins+version {
			return State{}, fmt.Errorf("%w: %q", ErrText, line)
		}
	}
	if s.Speaks < 1 || s.Lock < 0 || s.Public < 0 || s.Manage < 0 {
		return State{}, fmt.Errorf("%w: it lacks what no suite lacks", ErrText)
	}
	return s, nil
}

// take takes one line.
func (s *State) take(line string) (err error) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "speaks":
		return numbers(rest, &s.Speaks)
	case "lock":
		return numbers(rest, &s.Lock)
	case "public":
		return numbers(rest, &s.Public)
	case "manage":
		return numbers(rest, &s.Manage)
	case "log":
		s.Logger = true
		return numbers(rest, &s.LogRead, &s.LogWrite)
	case "socket":
		var fd int
		err = numbers(rest, &fd)
		s.Sockets = append(s.Sockets, fd)
	case "member":
		var m Member
		err = m.take(rest)
		s.Members = append(s.Members, m)
	case "figures":
		var a Area
		err = a.take(rest)
		s.Areas = append(s.Areas, a)
	default:
		return ErrText
	}
	return err
}

func (a *Area) take(text string) error {
	words := strings.SplitN(text, " ", 4)
	if len(words) != 4 || words[2] == "" || words[3] == "" {
		return ErrText
	}
	a.Layout, a.Name = words[2], words[3]
	return numbers(strings.Join(words[:2], " "), &a.FD, &a.PID)
}

func (m *Member) take(text string) error {
	words := strings.SplitN(text, " ", 5)
	if len(words) != 5 || words[4] == "" {
		return ErrText
	}
	m.Name = words[4]
	if words[1] == strconv.Itoa(none) {
		m.Channel, words[1] = none, "0"
	}
	var channel, until int
	if err := numbers(strings.Join(words[:4], " "), &m.PID, &channel, &m.Speaks, &until); err != nil {
		return err
	}
	if m.Channel != none {
		m.Channel = channel
	}
	if until != 0 {
		m.Until = time.Unix(int64(until), 0)
	}
	if m.PID < 1 || m.Speaks < 1 {
		return ErrText
	}
	return nil
}

// numbers reads as many numbers as there are places, in one spelling.
func numbers(text string, places ...*int) error {
	words := strings.Split(text, " ")
	if len(words) != len(places) {
		return ErrText
	}
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 40)
		if err != nil || strconv.FormatUint(n, 10) != word {
			return ErrText
		}
		*places[i] = int(n)
	}
	return nil
}
