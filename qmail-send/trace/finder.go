package trace

import (
	"strings"
	"time"

	"postrider/internal/logread"
)

const (
	// maxOpen is how many sessions and deliveries are kept in mind at once: an
	// end that was never logged is not waited for.
	maxOpen = 1 << 20
	// maxPasses bounds how long a chain of messages is followed.
	maxPasses = 16
	// maxLines is how many lines are collected.
	maxLines = 1 << 17
	// maxMessages is how many messages, and how many sessions, are followed: each
	// has a line at least. Of an address that sends to lists there may be millions.
	maxMessages = maxLines
)

// delivery is one that has begun.
type delivery struct{ msg, recipient, channel string }

// session is one of a client, by program and number; the numbers begin again
// with each start of the program, so each session that is met has one of ours.
type session int

// finder knows which messages and sessions belong to what was asked for.
type finder struct {
	id      string // the message that was asked for, or
	address string // the address, in small letters

	messages map[string]bool // at most maxMessages
	sessions map[session]bool
	left     bool // there were more messages or sessions

	// Of the present pass:
	deliveries map[string]delivery
	open       map[string]session
	last       session
	now        time.Time
}

func newFinder(what string, now time.Time) *finder {
	f := &finder{messages: make(map[string]bool), sessions: make(map[session]bool), now: now}
	if logread.IsID(what) {
		f.id = what
		f.messages[what] = true
	} else {
		f.address = strings.ToLower(what)
	}
	return f
}

// collect reads all until nothing more is found, and returns the lines that
// belong; more says that there were too many.
func (f *finder) collect(s *sources) (lines []found, more bool, err error) {
	for range maxPasses {
		before := len(f.messages) + len(f.sessions)
		f.begin()
		if err := s.each(func(line string) { f.visit(line) }); err != nil {
			return nil, false, err
		}
		if len(f.messages)+len(f.sessions) == before {
			break
		}
	}
	f.begin()
	err = s.each(func(line string) {
		one, belongs := f.visit(line)
		switch {
		case !belongs:
		case len(lines) < maxLines:
			lines = append(lines, one)
		default:
			more = true
		}
	})
	return lines, more || f.left, err
}

// follow adds a message. Its number is copied: it would keep the whole line.
func (f *finder) follow(id string) {
	switch {
	case f.messages[id]:
	case len(f.messages) >= maxMessages:
		f.left = true
	default:
		f.messages[strings.Clone(id)] = true
	}
}

func (f *finder) followSession(s session) {
	if len(f.sessions) >= maxMessages && !f.sessions[s] {
		f.left = true
		return
	}
	f.sessions[s] = true
}

func (f *finder) begin() {
	f.deliveries = make(map[string]delivery)
	f.open = make(map[string]session)
	f.last = 0
}

// visit looks at one line.
func (f *finder) visit(raw string) (found, bool) {
	at, text := logread.Stamp(raw, f.now)
	one := found{raw: raw, at: at, Line: logread.Parse(text)}
	switch {
	case one.Program == "qmail-send":
		return one, f.visitSend(&one)
	case one.Get("session") != "":
		return one, f.visitSession(&one)
	}
	return one, f.visitOther(&one)
}

// visitOther looks at a line of a program that has no sessions, or of a client
// that has failed to log in.
func (f *finder) visitOther(one *found) bool {
	if id := one.Get("id"); id != "" {
		one.messages = append(one.messages, id)
		return f.messages[id]
	}
	if f.address == "" || !f.namesAddress(one) {
		return false
	}
	f.last++
	one.session = f.last // of this one line
	f.followSession(one.session)
	return true
}

// visitSend looks at a line of qmail-send.
func (f *finder) visitSend(one *found) bool {
	id := one.Get("msg")
	switch number := one.Get("delivery"); one.Event {
	case "starting delivery":
		one.delivery = delivery{id, one.Get("recipient"), one.Get("channel")}
		if len(f.deliveries) >= maxOpen {
			clear(f.deliveries)
		}
		f.deliveries[number] = one.delivery
		f.askedFor(id, one.delivery.recipient)
	case "success", "failure", "deferral", "mangled":
		one.delivery = f.deliveries[number]
		delete(f.deliveries, number)
		id = one.delivery.msg
	case "info":
		f.askedFor(id, one.Get("from"))
	}
	one.messages = append(one.messages, id)
	if !f.messages[id] {
		return false
	}
	for _, other := range one.children() {
		f.follow(other)
		one.messages = append(one.messages, other)
	}
	return true
}

// askedFor adds a message if an address of it was asked for.
func (f *finder) askedFor(id, address string) {
	if f.address != "" && f.sameAddress(address) {
		f.follow(id)
	}
}

// sameAddress compares without regard to case; a virtual domain may have put
// its user and a dash in front.
func (f *finder) sameAddress(logged string) bool {
	logged = strings.ToLower(logged)
	return logged == f.address || strings.HasSuffix(logged, "-"+f.address)
}

// visitSession looks at a line of a session with a client.
func (f *finder) visitSession(one *found) bool {
	key := one.Program + " " + one.Get("session")
	if one.Event == "connect" || f.open[key] == 0 {
		if len(f.open) >= maxOpen {
			clear(f.open)
		}
		f.last++
		f.open[key] = f.last
	}
	one.session = f.open[key]
	if one.Event == "end" {
		delete(f.open, key)
	}
	id := one.Get("id")
	if f.address != "" && f.namesAddress(one) {
		f.followSession(one.session)
		if id != "" {
			f.follow(id)
		}
	}
	if id != "" {
		one.messages = append(one.messages, id)
		if f.messages[id] {
			f.followSession(one.session)
		}
	}
	return f.sessions[one.session]
}

// namesAddress reports whether the client spoke of the address.
func (f *finder) namesAddress(one *found) bool {
	for _, name := range []string{"from", "rcpt", "user"} {
		if value := one.Get(name); value != "" && f.sameAddress(value) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(one.Get("command")), "<"+f.address+">")
}
