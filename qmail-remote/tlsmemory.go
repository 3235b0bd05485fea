package qmailremote

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	wire "postrider/internal/wire/tlsseen"
)

const (
	// memoryTime is how long qmail-tlsseen has for an answer.
	memoryTime = 10 * time.Second
	// maxTold is how many hosts a worker knows that it has told.
	maxTold = 10000
)

// tlsMemory knows which hosts have spoken TLS. The classic form has none: nil.
type tlsMemory interface {
	saw(host string)
	last(host string) (day wire.Day, known bool, err error)
}

// seenLink is qmail-tlsseen, over a link of qmail-start.
type seenLink struct {
	client *call.Client
	clock  clock.Clock

	mu   sync.Mutex
	told map[string]wire.Day
}

func newSeenLink(c clock.Clock) *seenLink {
	return &seenLink{client: call.NewClient("qmail-tlsseen"), clock: c, told: make(map[string]wire.Day)}
}

func (l *seenLink) last(host string) (wire.Day, bool, error) {
	return wire.Ask(l.client, host, memoryTime)
}

// saw tells that a host has spoken TLS, once a day. Nobody waits for that; if it
// cannot be told now, the next connection tells it.
func (l *seenLink) saw(host string) {
	today := wire.DayOf(l.clock.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told[host] == today {
		return
	}
	if len(l.told) >= maxTold {
		clear(l.told)
	}
	l.told[host] = today
	go func() {
		if wire.Tell(l.client, host, memoryTime) != nil {
			l.mu.Lock()
			delete(l.told, host)
			l.mu.Unlock()
		}
	}()
}

// hadTLS returns why no mail may go in plain text to a host where that would
// do: it had TLS not long ago, and somebody may have taken that away.
func (c *client) hadTLS(ip netip.Addr, want *security) *report {
	if want.remember == 0 || c.memory == nil {
		return nil
	}
	day, known, err := c.memory.last(want.host)
	switch {
	case err != nil:
		return tlsFault(fmt.Sprintf("Connected to %s but it is not known now whether it had TLS: %s. (#4.7.5)\n", ip, printable(err.Error())))
	case known && c.clock.Now().Sub(day.Time()) < want.remember:
		fault := tlsFault(fmt.Sprintf("Connected to %s but it has no TLS any more, which %s had on %s, and control/tlsremember asks for. (#4.7.4)\n",
			ip, printable(want.host), day.Time().Format(time.DateOnly)))
		return fault.with(flaw{result: tlsrpt.NoSTARTTLS})
	}
	return nil
}

// remember tells that the host of a session has spoken TLS.
func (c *client) remember(s *session, want *security) {
	if s != nil && s.tls != nil && want.remember > 0 && c.memory != nil {
		c.memory.saw(want.host)
	}
}
