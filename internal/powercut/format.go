package powercut

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"postrider/internal/ledger"
)

// The formats of the queue, read a second time: what checks the suite does not
// share its mistakes (internal/queuedir is the specification).

// parsed is what is found in a content, whatever its name is.
type parsed struct {
	entry    *entry
	drop     *entry
	message  *message
	progress *progress
}

// entry is an accepted message, or one left in drop/.
type entry struct {
	whole      bool
	inline     bool
	body       string // if inline
	bodySize   int
	bodyCRC    uint32
	sender     string
	recipients []string
}

// message is what is found in the text of a message.
type message struct {
	id, hash string
	bounce   *ledger.Bounce
}

// progress is what was done for an entry.
type progress struct {
	damaged   bool
	delivered map[int]bool
	owed      map[int]bool            // failed, and no bounce says so
	bounced   map[int]bool            // failed, and a bounce says so
	discarded map[int]bool            // failed, and nobody is told
	orders    map[string]bool         // letters of records about all recipients
	changed   map[string]map[int]bool // letters of records about some, and who
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(s string) uint32 { return crc32.Checksum([]byte(s), castagnoli) }

func (c *Content) once() *parsed {
	if c.parsed == nil {
		c.parsed = &parsed{}
	}
	return c.parsed
}

var (
	entryFooter = regexp.MustCompile(`^(postrider entry 1 (inline |outside) body=([0-9a-f]{16}) envelope=([0-9a-f]{16}) bodycrc=([0-9a-f]{8}) crc=)([0-9a-f]{8})\n$`)
	dropFooter  = regexp.MustCompile(`^(postrider drop 1 nonce=[0-9a-f]{32} body=([0-9a-f]{16}) envelope=([0-9a-f]{16}) crc=)([0-9a-f]{8})\n$`)
)

func hexNumber(s string) int {
	n, err := strconv.ParseUint(s, 16, 63)
	if err != nil {
		return -1
	}
	return int(n)
}

// cutFooter separates the last line, which begins with start.
func cutFooter(s, start string, form *regexp.Regexp) (rest string, fields []string) {
	at := strings.LastIndex(s, start)
	if at < 0 {
		return s, nil
	}
	return s[:at], form.FindStringSubmatch(s[at:])
}

func (c *Content) entry() *entry {
	p := c.once()
	if p.entry == nil {
		e := readEntry(string(c.Data))
		p.entry = &e
	}
	return p.entry
}

func readEntry(s string) entry {
	rest, f := cutFooter(s, "postrider entry 1 ", entryFooter)
	if f == nil {
		return entry{}
	}
	e := entry{inline: f[2] == "inline ", bodySize: hexNumber(f[3]), bodyCRC: uint32(hexNumber(f[5]))}
	if e.inline {
		if e.bodySize < 0 || e.bodySize > len(rest) {
			return entry{}
		}
		e.body, rest = rest[:e.bodySize], rest[e.bodySize:]
	}
	if len(rest) != hexNumber(f[4]) || checksum(rest+f[1]) != uint32(hexNumber(f[6])) {
		return entry{}
	}
	e.whole = !e.inline || checksum(e.body) == e.bodyCRC
	e.envelope(rest)
	return e
}

// readDrop reads a file of drop/ as an entry whose body is in it.
func readDrop(s string) entry {
	rest, f := cutFooter(s, "postrider drop 1 ", dropFooter)
	if f == nil || checksum(rest+f[1]) != uint32(hexNumber(f[4])) || hexNumber(f[2])+hexNumber(f[3]) != len(rest) {
		return entry{}
	}
	e := entry{whole: true, inline: true, bodySize: hexNumber(f[2])}
	e.body = rest[:e.bodySize]
	e.envelope(rest[e.bodySize:])
	return e
}

func (e *entry) envelope(s string) {
	for record := range strings.SplitSeq(s, "\x00") {
		switch {
		case strings.HasPrefix(record, "F"):
			e.sender = record[1:]
		case strings.HasPrefix(record, "T"):
			e.recipients = append(e.recipients, record[1:])
		}
	}
}

// outside reports whether c is the body that e wants.
func (e *entry) outside(c *Content) bool {
	return c != nil && c.size == e.bodySize && c.crc == e.bodyCRC
}

// drop is c as a file of drop/.
func (c *Content) drop() *entry {
	p := c.once()
	if p.drop == nil {
		e := readDrop(string(c.Data))
		p.drop = &e
	}
	return p.drop
}

// dropped is the message in a file of drop/.
func (c *Content) dropped() *message {
	p := c.once()
	if p.message == nil {
		p.message = readMessage(c.drop().body)
	}
	return p.message
}

func (c *Content) message() *message {
	p := c.once()
	if p.message == nil {
		p.message = readMessage(string(c.Data))
	}
	return p.message
}

// body is the message in an inline entry.
func (c *Content) body() *message {
	p := c.once()
	if p.message == nil {
		p.message = readMessage(c.entry().body)
	}
	return p.message
}

func readMessage(s string) *message {
	if b, ok := ledger.ParseBounce(s); ok {
		return &message{bounce: &b}
	}
	id, hash := ledger.Identify(s)
	return &message{id: id, hash: hash}
}

func (c *Content) progress() *progress {
	p := c.once()
	if p.progress == nil {
		p.progress = readProgress(string(c.Data))
	}
	return p.progress
}

const noBounce = "00000000000000000000"

// readProgress reads a progress file. What comes after the last good line does
// not count; a bad line before it is damage.
func readProgress(s string) *progress {
	p := &progress{delivered: make(map[int]bool), owed: make(map[int]bool), bounced: make(map[int]bool), discarded: make(map[int]bool),
		orders: make(map[string]bool), changed: map[string]map[int]bool{"A": {}, "V": {}}}
	bad := false
	at, good := 0, 0
	for line := range strings.Lines(s) {
		at += len(line)
		fields := progressLine(line)
		if fields == nil {
			bad = true
			continue
		}
		if bad && fields[0] == "t" {
			continue // nor was this synced
		}
		if fields[0] == "P" && at-len(line)-decimal(fields[1]) <= good {
			bad = false // nobody relied on what is bad
		}
		good = at
		p.damaged = p.damaged || bad
		p.record(fields)
	}
	return p
}

// progressLine returns the fields of a good line.
func progressLine(line string) []string {
	crc, record, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if !found || !strings.HasSuffix(line, "\n") || crc != fmt.Sprintf("%08x", checksum(record)) {
		return nil
	}
	return strings.Split(record, " ")
}

func (p *progress) record(fields []string) {
	switch fields[0] {
	case "d":
		for _, index := range fields[1:] {
			p.delivered[decimal(index)] = true
		}
	case "f":
		p.owed[decimal(fields[1])] = true
	case "H", "R", "C":
		p.orders[fields[0]] = true
	case "A", "V":
		for index := range ranges(fields[1]) {
			p.changed[fields[0]][index] = true
		}
	case "b":
		for index := range p.owed {
			if fields[1] == noBounce {
				p.discarded[index] = true
			} else {
				p.bounced[index] = true
			}
		}
		clear(p.owed)
	}
}

// ranges yields the numbers of a list like 0,3-7.
func ranges(list string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for part := range strings.SplitSeq(list, ",") {
			from, to, isRange := strings.Cut(part, "-")
			if !isRange {
				to = from
			}
			for i := decimal(from); i >= 0 && i <= decimal(to); i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

func decimal(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// settled are the recipients for whom nothing is left to do.
func (p *progress) settled() []int {
	var list []int
	for _, set := range []map[int]bool{p.delivered, p.bounced, p.discarded} {
		for index := range set {
			list = append(list, index)
		}
	}
	slices.Sort(list)
	return list
}

// isDropName is the form of a complete file's name in drop/.
func isDropName(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 16 && strings.ToLower(name) == name
}
