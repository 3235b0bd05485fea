package policy

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/idn"
	wire "postrider/internal/wire/policy"
)

const (
	// maxTriplets bounds what is remembered: about 40 MiB in memory, and up to
	// twice as much on disk.
	maxTriplets = 1 << 19
	// waitingFor is how long a triplet may take to come back.
	waitingFor = 2 * 24 * time.Hour
	// keptFor is how long one that came back is remembered without mail: a
	// monthly newsletter, and some days.
	keptFor = 36 * 24 * time.Hour
	// trustedAfter is how many triplets of a network must have come back before
	// its mail waits no more.
	trustedAfter = 5
	// touchEvery is how often it is written down that something was used.
	touchEvery = time.Hour
)

// key is the salted hash of a triplet, or of a network.
type key [16]byte

// record is what is known under a key; times are Unix seconds.
type record struct {
	first, last uint32
	passes      uint32 // of a network: triplets that came back; of a triplet: 1 once it did
}

func (r record) expired(now uint32) bool {
	kept := keptFor
	if r.passes == 0 {
		kept = waitingFor
	}
	return now > r.last && time.Duration(now-r.last)*time.Second > kept
}

// greylist remembers who has tried to send what to whom.
type greylist struct {
	clock clock.Clock
	most  int

	mu      sync.Mutex
	salt    [saltSize]byte
	table   map[key]record
	pending []byte // records for the journal
	swept   uint32
}

func newGreylist(c clock.Clock) *greylist {
	return &greylist{clock: c, most: maxTriplets, table: make(map[key]record)}
}

// wait returns how long a triplet has to wait yet, and remembers it.
func (g *greylist) wait(t wire.Triplet, delay time.Duration) time.Duration {
	now := uint32(g.clock.Now().Unix())
	g.mu.Lock()
	defer g.mu.Unlock()
	from := network(t.Client).String()
	ofNetwork := g.key("network", from)
	ofTriplet := g.key("triplet", from, sameSender(t.Sender), idn.AddressKey(t.Recipient))
	if n, known := g.find(ofNetwork, now); known && n.passes >= trustedAfter {
		g.touch(ofNetwork, n, now)
		return 0
	}
	r, known := g.find(ofTriplet, now)
	if !known {
		r = record{first: now, last: now}
		g.put(ofTriplet, r, now)
	}
	if r.passes > 0 {
		g.touch(ofTriplet, r, now)
		return 0
	}
	if left := delay - time.Duration(now-r.first)*time.Second; left > 0 {
		return left
	}
	r.passes, r.last = 1, now
	g.put(ofTriplet, r, now)
	n, known := g.find(ofNetwork, now)
	if !known {
		n.first = now
	}
	n.passes, n.last = n.passes+1, now
	g.put(ofNetwork, n, now)
	return 0
}

// find returns what is known and has not expired. A clock that was set back
// makes nobody wait for more than the delay.
func (g *greylist) find(k key, now uint32) (r record, known bool) {
	r, known = g.table[k]
	if !known || r.expired(now) {
		return record{}, false
	}
	if r.first > now || r.last > now {
		r.first, r.last = min(r.first, now), now
		g.put(k, r, now)
	}
	return r, true
}

// touch notes that a record was used, now and then.
func (g *greylist) touch(k key, r record, now uint32) {
	if time.Duration(now-r.last)*time.Second >= touchEvery {
		r.last = now
		g.put(k, r, now)
	}
}

// put remembers a record.
func (g *greylist) put(k key, r record, now uint32) {
	if _, known := g.table[k]; !known && len(g.table) >= g.most {
		g.makeRoom(now)
	}
	g.table[k] = r
	if len(g.pending) < maxPending {
		g.pending = appendRecord(g.pending, k, r)
	} // else the whole table is written next
}

// makeRoom drops what has expired, not more often than once a minute, and if
// that is not enough, one of a few: any that has not come back, so that a flood
// of them drives out itself; else the one that was not used for longest.
func (g *greylist) makeRoom(now uint32) {
	if now-g.swept >= 60 {
		g.swept = now
		for k, r := range g.table {
			if r.expired(now) {
				delete(g.table, k)
			}
		}
	}
	if len(g.table) < g.most {
		return
	}
	const few = 16
	var worst key
	oldest, looked := now, 0
	for k, r := range g.table { // begins anywhere
		if looked == 0 || r.passes == 0 || r.last < oldest {
			worst, oldest = k, r.last
		}
		if looked++; looked == few || r.passes == 0 {
			break
		}
	}
	delete(g.table, worst)
}

// key hashes parts; the caller holds mu.
func (g *greylist) key(parts ...string) (k key) {
	h := sha256.New()
	h.Write(g.salt[:])
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	copy(k[:], h.Sum(nil))
	return k
}

// network is what counts as one client: large senders try again from a
// neighbour.
func network(client netip.Addr) netip.Prefix {
	bits := 64
	if client.Is4() {
		bits = 24
	}
	prefix, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero address
	}
	return prefix
}

// sameSender makes one of the addresses that a list has for each message or
// recipient (VERP): the digits of the local part do not count.
func sameSender(sender string) string {
	at := strings.LastIndexByte(sender, '@')
	if at < 0 {
		return idn.AddressKey(sender)
	}
	var b strings.Builder
	for i := range at {
		c := sender[i]
		if '0' <= c && c <= '9' {
			if i == 0 || sender[i-1] < '0' || sender[i-1] > '9' {
				b.WriteByte('#')
			}
			continue
		}
		b.WriteByte(c)
	}
	return idn.AddressKey(b.String() + sender[at:])
}
