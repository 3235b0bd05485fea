// Package destinations reads control/destinations, which says how much mail at a
// time, and how fast, goes to whom.
//
// qmail-send and qmail-remote import it. The file is the administrator's; a line
// in it that is not understood is an error: more mail than was asked for could
// have this host refused.
//
// # Format
//
// A line is a pattern and words, separated by spaces. The pattern is one of
//
//	example.org       the domain
//	.example.org      every domain below it, each for itself
//	mx:example.org    all domains whose mail goes to that host, together
//	mx:.example.org   all domains whose hosts are below it, together
//	*                 all others
//
// The hosts are a domain's mail exchangers, or the relay of control/smtproutes
// and its like; all of them must fit. For a domain counts its own line, else
// that of its longest suffix, else that of its hosts, the longest, else *. That
// line alone counts. Words are
//
//	connections=N     so many deliveries at a time, from 1 to 10000; a delivery
//	                  is a connection, with one message
//	rate=N/UNIT       so many messages in any s, m, h or d, from 1 to 1000000,
//	                  evenly
//	recipients=N      so many recipients of a message at a time, from 1 to 100
//	messages=N        so many messages over one connection, from 1 to 100
package destinations

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// File is the name of the control file.
const File = "destinations"

const (
	maxLines       = 10000
	maxConnections = 10000
	maxRecipients  = 100
	maxMessages    = 100
	maxRate        = 1000000

	all       = "*"
	hostsMark = "mx:"
)

// Limits are what a line says. Zero is no limit.
type Limits struct {
	Connections int
	Recipients  int           // of a message at a time
	Messages    int           // over a connection
	Every       time.Duration // the distance of messages
	// Rate is the word that Every comes from, for people.
	Rate string
}

// Scope says which mail the limits of a line are for.
type Scope int

// The scopes.
const (
	SameHosts Scope = iota // all domains with the same hosts, together
	OneDomain              // the domain for itself
	OneLine                // all domains for which the line counts, together
)

// Rule is what counts for a domain.
type Rule struct {
	Limits
	Scope Scope
	// Pattern is that of the line; "" without one.
	Pattern string
}

// Table is the file.
type Table struct {
	byPattern map[string]*Rule
	hosts     bool // there are lines about hosts
}

// Read reads the file; without one there is no limit for anybody.
func Read(dir control.Dir) (*Table, error) {
	t := &Table{byPattern: make(map[string]*Rule)}
	_, err := dir.Each("destinations", func(line string) error {
		if len(t.byPattern) >= maxLines {
			return fmt.Errorf("more than %d lines", maxLines)
		}
		if err := t.add(strings.Fields(line)); err != nil {
			return fmt.Errorf("%.200q: %w", line, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Empty reports whether there is no line.
func (t *Table) Empty() bool { return t == nil || len(t.byPattern) == 0 }

// For returns what counts for a domain whose mail goes to hosts; none: that is
// not known. Both are as idn.Key has them.
func (t *Table) For(domain string, hosts []string) Rule {
	if t.Empty() {
		return Rule{}
	}
	for i := 0; domain != "" && i >= 0; i = nextDot(domain, i) {
		if r := t.byPattern[domain[i:]]; r != nil {
			return *r
		}
	}
	if t.hosts && len(hosts) > 0 {
		first := hosts[0]
		for i := 0; first != "" && i >= 0; i = nextDot(first, i) {
			if r := t.byPattern[hostsMark+first[i:]]; r != nil && fitsAll(first[i:], hosts) {
				return *r
			}
		}
	}
	if r := t.byPattern[all]; r != nil {
		return *r
	}
	return Rule{}
}

// nextDot returns where the next suffix begins, -1 if there is none.
func nextDot(domain string, i int) int {
	dot := strings.IndexByte(domain[i+1:], '.')
	if dot < 0 {
		return -1
	}
	return i + 1 + dot
}

// fitsAll reports whether all hosts are the one, or below it if it begins with a
// dot.
func fitsAll(pattern string, hosts []string) bool {
	return !slices.ContainsFunc(hosts, func(host string) bool {
		return host != pattern && !(pattern[0] == '.' && strings.HasSuffix(host, pattern))
	})
}

func (t *Table) add(words []string) error {
	pattern, scope, err := parsePattern(words[0])
	if err != nil {
		return err
	}
	if t.byPattern[pattern] != nil {
		return errors.New("there is a line for this destination already")
	}
	r := &Rule{Pattern: pattern, Scope: scope}
	if len(words) == 1 {
		return errors.New("there is no limit")
	}
	seen := make(map[string]bool)
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if seen[name] {
			return fmt.Errorf("%s= comes twice", name)
		}
		seen[name] = true
		if err := r.set(name, value); err != nil {
			return err
		}
	}
	t.byPattern[pattern] = r
	t.hosts = t.hosts || scope == OneLine
	return nil
}

// parsePattern returns a pattern as it is looked up.
func parsePattern(word string) (pattern string, scope Scope, err error) {
	if word == all {
		return all, SameHosts, nil
	}
	name, isHosts := strings.CutPrefix(word, hostsMark)
	key := idn.Key(name)
	bare := strings.TrimPrefix(key, ".")
	if bare == "" || len(key) > 255 || strings.ContainsAny(key, "*@=/") || strings.HasPrefix(bare, ".") || strings.HasSuffix(bare, ".") {
		return "", 0, fmt.Errorf("%.100q is no destination: a domain, .domain, mx:host, mx:.domain or *", word)
	}
	if isHosts {
		return hostsMark + key, OneLine, nil
	}
	return key, OneDomain, nil
}

// set takes a word of a line.
func (l *Limits) set(name, value string) (err error) {
	switch name {
	case "connections":
		l.Connections, err = number(name, value, maxConnections)
	case "recipients":
		l.Recipients, err = number(name, value, maxRecipients)
	case "messages":
		l.Messages, err = number(name, value, maxMessages)
	case "rate":
		l.Rate = value
		l.Every, err = parseRate(value)
	default:
		err = fmt.Errorf("%.100q is not connections=, rate=, recipients= or messages=", name)
	}
	return err
}

func number(name, value string, most int) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n < 1 || n > uint64(most) {
		return 0, fmt.Errorf("%s= is a number from 1 to %d", name, most)
	}
	return int(n), nil
}

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// parseRate returns the distance of messages. It is rounded up, so that there is
// never one more.
func parseRate(value string) (time.Duration, error) {
	count, unit, _ := strings.Cut(value, "/")
	period := units[unit]
	n, err := strconv.ParseUint(count, 10, 31)
	if err != nil || n < 1 || n > maxRate || period == 0 {
		return 0, fmt.Errorf("rate= is a number from 1 to %d and /s, /m, /h or /d", maxRate)
	}
	return (period + time.Duration(n) - 1) / time.Duration(n), nil
}
