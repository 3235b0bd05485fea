package queuedir

import (
	"bytes"
	"strconv"
	"time"

	"postrider/internal/address"
)

// Records of a progress file that tell of attempts and of operators:
//
//	t INDEXES TIME TEXT      an attempt at TIME left these recipients for later,
//	                         TEXT says why. Only people read it: it may be
//	                         missing, and is not synced
//	H TIME UID TEXT          UID holds the message: nothing is tried until it is
//	                         released. TEXT says why
//	R TIME UID               UID released it
//	C TIME UID               UID cancelled it: nobody else gets it, nobody is told
//	A INDEXES TIME UID TEXT  TEXT is the address of these recipients from now on
//	V INDEXES TIME UID TEXT  TEXT is the host to which mail for these recipients
//	                         goes from now on; none: as the control files say
//
//	P LENGTH                 the LENGTH bytes before this line were never synced,
//	                         and may be damaged
//
// INDEXES are numbers and ranges, "0,3-7". TEXT is escaped as that of f. UID is
// a decimal number: 0 and nobody else may want H, R, A and V but qmail-send
// itself, as its own user, H.

// Change is what an operator changed for a recipient; an empty field stays.
type Change struct {
	Address string
	Relay   string
}

const (
	// MaxReason is the most bytes that are kept of a text; an address fits.
	MaxReason = address.MaxLen
	// maxIndexes bounds the recipients of one line.
	maxIndexes = 1000
)

// AppendTried appends lines that say that an attempt at t left indexes, which
// go up, for later.
func AppendTried(b []byte, indexes []int, t time.Time, text string) []byte {
	for len(indexes) > 0 {
		n := min(len(indexes), maxIndexes)
		start := len(b)
		b = append(b, "12345678 t "...)
		b = appendIndexes(b, indexes[:n])
		b = append(b, ' ')
		b = strconv.AppendInt(b, t.Unix(), 10)
		b = append(b, ' ')
		b = appendEscaped(b, text[:min(len(text), MaxReason)])
		b = finishLine(b, start)
		indexes = indexes[n:]
	}
	return b
}

// AppendOrder appends lines that say that uid gave an order at t: r has its
// kind, and for some kinds Indexes, which go up, and Text.
func AppendOrder(b []byte, r Record, uid uint32, t time.Time) []byte {
	indexes := r.Indexes
	for {
		n := min(len(indexes), maxIndexes)
		start := len(b)
		b = append(b, "12345678 "...)
		b = append(b, byte(r.Kind), ' ')
		if hasIndexes(r.Kind) {
			b = append(appendIndexes(b, indexes[:n]), ' ')
		}
		b = strconv.AppendInt(b, t.Unix(), 10)
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(uid), 10)
		if hasText(r.Kind) {
			b = append(b, ' ')
			b = appendEscaped(b, r.Text[:min(len(r.Text), MaxReason)])
		}
		b = finishLine(b, start)
		if indexes = indexes[n:]; len(indexes) == 0 {
			return b
		}
	}
}

// AppendMend appends what comes between n bytes of records that were never
// synced and records that will be: an end of line for one that a power cut has
// cut, and a P.
func AppendMend(b []byte, n int64) []byte {
	if n <= 0 {
		return b
	}
	b = append(b, '\n')
	start := len(b)
	b = append(b, "12345678 P "...)
	b = strconv.AppendInt(b, n+1, 10)
	return finishLine(b, start)
}

// Mend returns lines as they are to be appended to the file that p was read
// from.
func (p Progress) Mend(lines []byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	return append(AppendMend(nil, p.Size-p.Synced), lines...)
}

func parsePassed(r Record, rest []byte) (Record, error) {
	n, err := strconv.ParseUint(string(rest), 10, 62)
	if err != nil {
		return Record{}, errRecord
	}
	r.Length = int64(n)
	return r, nil
}

func hasIndexes(kind RecordKind) bool { return kind == Readdress || kind == Reroute }
func hasText(kind RecordKind) bool    { return kind == Held || hasIndexes(kind) }

func appendIndexes(b []byte, indexes []int) []byte {
	for i := 0; i < len(indexes); i++ {
		last := i
		for last+1 < len(indexes) && indexes[last+1] == indexes[last]+1 {
			last++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(indexes[i]), 10)
		if last > i {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(indexes[last]), 10)
		}
		i = last
	}
	return b
}

// parseIndexes is the inverse of appendIndexes; it makes no more of a line than
// that writes into one.
func parseIndexes(field []byte) (indexes []int, err error) {
	for part := range bytes.SplitSeq(field, []byte{','}) {
		from, to, isRange := bytes.Cut(part, []byte{'-'})
		first, err := parseIndex(from)
		last := first
		if err == nil && isRange {
			last, err = parseIndex(to)
		}
		if err != nil || last < first || len(indexes)+last-first >= maxIndexes {
			return nil, errRecord
		}
		for i := first; i <= last; i++ {
			indexes = append(indexes, i)
		}
	}
	return indexes, nil
}

func parseSeconds(field []byte) (time.Time, error) {
	seconds, err := strconv.ParseInt(string(field), 10, 64)
	if err != nil {
		return time.Time{}, errRecord
	}
	return time.Unix(seconds, 0), nil
}

func parseTried(r Record, rest []byte) (Record, error) {
	fields := bytes.SplitN(rest, []byte{' '}, 3)
	if len(fields) != 3 {
		return Record{}, errRecord
	}
	var err error
	if r.Indexes, err = parseIndexes(fields[0]); err != nil {
		return Record{}, err
	}
	if r.Time, err = parseSeconds(fields[1]); err != nil {
		return Record{}, err
	}
	r.Text, err = unescape(fields[2])
	return r, err
}

func parseOrder(r Record, rest []byte) (Record, error) {
	count := 2
	if hasIndexes(r.Kind) {
		count++
	}
	if hasText(r.Kind) {
		count++
	}
	fields := bytes.SplitN(rest, []byte{' '}, count)
	if len(fields) != count {
		return Record{}, errRecord
	}
	var err error
	if hasIndexes(r.Kind) {
		if r.Indexes, err = parseIndexes(fields[0]); err != nil {
			return Record{}, err
		}
		fields = fields[1:]
	}
	if r.Time, err = parseSeconds(fields[0]); err != nil {
		return Record{}, err
	}
	uid, err := strconv.ParseUint(string(fields[1]), 10, 32)
	if err != nil {
		return Record{}, errRecord
	}
	r.UID = uint32(uid)
	if hasText(r.Kind) {
		r.Text, err = unescape(fields[2])
	}
	return r, err
}

// cancel makes all recipients finished.
func (p *Progress) cancel(recipients int) {
	for i := range recipients {
		if !p.Finished.Has(i) {
			p.Finished.Set(i)
			p.Delivered++
		}
	}
	p.Unbounced = 0 // nobody is told
}

// change takes a Readdress or a Reroute.
func (p *Progress) change(r Record) {
	if p.Changes == nil {
		p.Changes = make(map[int]Change)
	}
	for _, i := range r.Indexes {
		c := p.Changes[i]
		if r.Kind == Readdress {
			c.Address = r.Text
		} else {
			c.Relay = r.Text
		}
		p.Changes[i] = c
	}
}
