package queuectl

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/queuedir"
)

// choice says which messages are meant. All that is given must hold.
type choice struct {
	ids              []queuedir.ID // none: whatever the rest says
	all              bool
	sender           string // patterns, in small letters
	recipient        string
	domain           string
	reason           string
	states           []state
	older, newer     time.Duration
	larger, smaller  int64
	anySender        bool // sender was given
	olderGiven       bool
	newerGiven       bool
	sizeUpperGiven   bool
	now              time.Time
	wantedByReceiver bool // recipient or domain was given
}

func newChoice(now time.Time) *choice {
	return &choice{recipient: "*", domain: "*", now: now}
}

// wide reports whether nothing narrows the choice.
func (c *choice) wide() bool {
	return len(c.ids) == 0 && !c.anySender && !c.wantedByReceiver && c.reason == "" && len(c.states) == 0 &&
		!c.olderGiven && !c.newerGiven && c.larger == 0 && !c.sizeUpperGiven
}

// flags makes the options of c.
func (c *choice) flags(f *flags) {
	f.pattern("from", "sender matches `PATTERN` (* and ?; \"\" is a bounce)", func(s string) { c.sender, c.anySender = s, true })
	f.pattern("to", "a recipient that is not done matches `PATTERN`", func(s string) { c.recipient, c.wantedByReceiver = s, true })
	f.pattern("domain", "such a recipient's domain matches `PATTERN`", func(s string) { c.domain, c.wantedByReceiver = s, true })
	f.pattern("reason", "the last reason of such a recipient matches `PATTERN`", func(s string) { c.reason = s })
	f.Func("state", "state is one of `STATES`, with commas: new, deferred, active, held, bouncing", c.setStates)
	f.Func("older", "older than `AGE`: 90s, 15m, 2h, 3d", func(s string) (err error) {
		c.older, err = parseAge(s)
		c.olderGiven = true
		return err
	})
	f.Func("newer", "newer than `AGE`", func(s string) (err error) {
		c.newer, err = parseAge(s)
		c.newerGiven = true
		return err
	})
	f.Func("larger", "larger than `SIZE`: 500, 10k, 2M", func(s string) (err error) {
		c.larger, err = parseSize(s)
		return err
	})
	f.Func("smaller", "smaller than `SIZE`", func(s string) (err error) {
		c.smaller, err = parseSize(s)
		c.sizeUpperGiven = true
		return err
	})
	f.BoolVar(&c.all, "all", false, "all messages")
}

func (c *choice) setStates(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		switch st := state(name); st {
		case isNew, isDeferred, isActive, isHeld, isBouncing, isLeaving, isDamaged:
			c.states = append(c.states, st)
		default:
			return fmt.Errorf("%q is no state", name)
		}
	}
	return nil
}

func parseAge(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if s == "" || units[s[len(s)-1]] == 0 {
		return 0, errors.New("an age is a number and one of s, m, h, d, w")
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	unit := units[s[len(s)-1]]
	if err != nil || time.Duration(n) > time.Duration(1<<62)/unit {
		return 0, errors.New("an age is a number and one of s, m, h, d, w")
	}
	return time.Duration(n) * unit, nil
}

func parseSize(s string) (int64, error) {
	shift := 0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, errors.New("a size is a number, with k, M or G behind it")
	}
	return int64(n) << shift, nil
}

// matches reports whether m is meant.
func (c *choice) matches(m *message) bool {
	age := c.now.Sub(m.Arrived)
	switch {
	case c.anySender && !glob(c.sender, m.Sender),
		len(c.states) > 0 && !slices.Contains(c.states, m.State),
		c.olderGiven && age < c.older,
		c.newerGiven && age >= c.newer,
		m.Size < c.larger,
		c.sizeUpperGiven && m.Size >= c.smaller:
		return false
	}
	return !c.wantedByReceiver && c.reason == "" || len(c.recipients(m)) > 0
}

// recipients returns the numbers of the recipients that are meant, which are
// not done.
func (c *choice) recipients(m *message) (indexes []int) {
	for i := range m.Recipients {
		to := &m.Recipients[i]
		if to.Done == "" && glob(c.recipient, to.Address) && glob(c.domain, domainOf(to.Address)) && (c.reason == "" || glob(c.reason, to.Reason)) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// glob reports whether s matches a pattern in small letters; * is any text and
// ? one character.
func glob(pattern, s string) bool {
	s = strings.ToLower(s)
	if pattern == "" {
		return s == ""
	}
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
