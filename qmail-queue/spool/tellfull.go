package spool

import (
	"sync"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// hearers are the channels of daemons that are told whether mail is taken.
type hearers struct {
	mu   sync.Mutex
	full bool
	said map[*fdpass.Packets]bool // what was said last
}

// add begins to tell a daemon.
func (l *hearers) add(channel *fdpass.Packets) {
	l.mu.Lock()
	if l.said == nil {
		l.said = make(map[*fdpass.Packets]bool)
	}
	l.said[channel] = false // it believes so
	full := l.full
	l.mu.Unlock()
	l.tell(full)
}

func (l *hearers) remove(channel *fdpass.Packets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.said, channel)
}

// tell tells those that do not know. Who could not be told is told next time.
func (l *hearers) tell(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
	for channel, said := range l.said {
		if said == full {
			continue
		}
		if sent, err := submit.SayFull(channel, full); sent && err == nil {
			l.said[channel] = full
		}
	}
}
