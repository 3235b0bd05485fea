package sessionlimit

import (
	"net/netip"
	"sync"
	"time"
)

// Party is who is metered: a user who has logged in, from wherever that is, else
// an address.
type Party struct {
	Addr netip.Addr // a Customer
	User string
}

// maxMetered bounds the parties that a Meter knows.
const maxMetered = 16384

// Meter lets each party do something so many times in a period: all at once,
// or as time goes by (a token bucket, of which only the time is kept at which
// it is full again). The zero value is ready to use.
type Meter struct {
	mu   sync.Mutex
	full map[Party]int64 // Unix nanoseconds
}

// Take counts one more for a party, unless that is more than limit in the
// period; with the limit 0 all is allowed. Refusals do not count.
func (m *Meter) Take(who Party, limit int, period time.Duration, now time.Time) bool {
	if limit <= 0 {
		return true
	}
	each, at := int64(period)/int64(limit), now.UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	full, known := m.full[who]
	if full < at || full > at+int64(period) { // or the clock was set back
		full = at
	}
	if full+each > at+int64(period) {
		return false
	}
	if !known {
		m.makeRoom(at)
	}
	m.full[who] = full + each
	return true
}

// makeRoom forgets somebody if too many are known: the one of a few with the
// fullest bucket. The caller holds mu.
func (m *Meter) makeRoom(now int64) {
	if m.full == nil {
		m.full = make(map[Party]int64)
	}
	if len(m.full) < maxMetered {
		return
	}
	looked := 0
	var best Party
	for who, full := range m.full { // begins anywhere
		if full <= now {
			delete(m.full, who)
		} else if best == (Party{}) || full < m.full[best] {
			best = who
		}
		if looked++; looked == 16 {
			break
		}
	}
	if len(m.full) >= maxMetered {
		delete(m.full, best)
	}
}
