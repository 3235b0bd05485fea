package queuedir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// A progress file is text, appended to only. Each line is 8 hexadecimal digits
// (CRC-32C of the record), a blank, the record, LF. Records:
//
//	d INDEX [INDEX...]  these recipients have the message
//	f INDEX TIME TEXT   this one failed for good at TIME (seconds since 1970);
//	                    TEXT is its paragraph of the bounce message, escaped;
//	                    without TEXT it is not to be told to the sender
//	s INDEX TIME TEXT   this one has the message since TIME, which the sender
//	                    is to be told; TEXT as that of f
//	r INDEX TIME TEXT   the same, but it is a server that has it, which will
//	                    not tell him
//	b ID                message ID is the last notice about all f, s and r before
//	                    this line; 20 zeros: there is none, they were discarded
//	y INDEX TIME TEXT   this one was deferred at TIME, which the sender is to
//	                    be told; TEXT as that of f. It may still get the message
//	n CHANNEL AGE ID    message ID tells the sender of the delay on CHANNEL (a
//	                    letter) since the message was AGE seconds old; 20
//	                    zeros: he is not told
//
// and those of operator.go. INDEX counts the recipients of the envelope from 0.
// The file's mtime is the next attempt. A line that is cut or damaged is ignored
// if no good line comes after it: it was never synced, nothing relied on it. Any
// other is ErrDamaged. A record with a letter that is unknown is of a later
// version: a small one is passed over, a capital one is ErrNewer.

// maxProgressLine is the longest line, LF included. The writers keep below it:
// an escaped report of a delivery has at most 40,000 bytes.
const maxProgressLine = 64 << 10

// MaxFailureText is the most bytes that AppendFailed keeps of a text.
const MaxFailureText = 12 << 10

// deliveredPerLine is how many indexes go into one d line.
const deliveredPerLine = 100

// Discarded is the ID in a b record of failures that have no bounce message.
var Discarded = NewID(time.UnixMicro(0), 0, 0)

// RecordKind is the letter of a progress record.
type RecordKind byte

// The kinds of progress records.
const (
	Delivered RecordKind = 'd'
	Failed    RecordKind = 'f'
	Succeeded RecordKind = 's'
	Relayed   RecordKind = 'r'
	Bounced   RecordKind = 'b'
	Deferred  RecordKind = 'y'
	Told      RecordKind = 'n'
	Tried     RecordKind = 't'
	Held      RecordKind = 'H'
	Released  RecordKind = 'R'
	Cancelled RecordKind = 'C'
	Readdress RecordKind = 'A'
	Reroute   RecordKind = 'V'
	Passed    RecordKind = 'P'
)

// Record is one line of a progress file.
type Record struct {
	Kind    RecordKind
	Indexes []int         // Delivered, Tried, Readdress, Reroute: some; Failed and its like: one
	Time    time.Time     // all but Delivered, Bounced, Told
	Text    string        // Failed, Succeeded, Relayed, Deferred, and those of operator.go
	UID     uint32        // Held, Released, Cancelled, Readdress, Reroute: who wanted it
	Bounce  ID            // Bounced, Told
	Length  int64         // Passed
	Channel byte          // Told
	Age     time.Duration // Told
}

// AppendDelivered appends lines that say that indexes have the message.
func AppendDelivered(b []byte, indexes []int) []byte {
	for len(indexes) > 0 {
		n := min(len(indexes), deliveredPerLine)
		start := len(b)
		b = append(b, "12345678 d"...)
		for _, index := range indexes[:n] {
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(index), 10)
		}
		b = finishLine(b, start)
		indexes = indexes[n:]
	}
	return b
}

// AppendFailed appends a line that says that index failed for good at t.
func AppendFailed(b []byte, index int, t time.Time, text string) []byte {
	return appendText(b, Failed, index, t, text)
}

// AppendDeferred appends a line that says that index was deferred at t.
func AppendDeferred(b []byte, index int, t time.Time, text string) []byte {
	return appendText(b, Deferred, index, t, text)
}

// AppendSucceeded appends a line that says that index has the message since t:
// kind is Succeeded or Relayed.
func AppendSucceeded(b []byte, kind RecordKind, index int, t time.Time, text string) []byte {
	return appendText(b, kind, index, t, text)
}

func appendText(b []byte, kind RecordKind, index int, t time.Time, text string) []byte {
	start := len(b)
	b = append(b, "12345678 "...)
	b = append(b, byte(kind), ' ')
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, t.Unix(), 10)
	b = append(b, ' ')
	b = appendEscaped(b, text[:min(len(text), MaxFailureText)])
	return finishLine(b, start)
}

// AppendTold appends a line that says that notice tells of the delay on channel
// that there is since the message was so old.
func AppendTold(b []byte, channel byte, age time.Duration, notice ID) []byte {
	start := len(b)
	b = append(b, "12345678 n "...)
	b = append(b, channel, ' ')
	b = strconv.AppendInt(b, int64(age/time.Second), 10)
	b = append(b, ' ')
	b = append(b, notice[:]...)
	return finishLine(b, start)
}

// AppendBounced appends a line that says that bounce covers all before it.
func AppendBounced(b []byte, bounce ID) []byte {
	start := len(b)
	b = append(b, "12345678 b "...)
	b = append(b, bounce[:]...)
	return finishLine(b, start)
}

const (
	crcDigits = 8
	hexDigits = "0123456789abcdef"
)

// finishLine fills in the CRC of the line that begins at start and ends it.
func finishLine(b []byte, start int) []byte {
	crc := Checksum(0, b[start+crcDigits+1:])
	putHex(b[start:start+crcDigits], crc)
	return append(b, '\n')
}

func putHex(dst []byte, v uint32) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = hexDigits[v&15]
		v >>= 4
	}
}

// appendEscaped appends s in printable ASCII: \\, \n, and \xHH for the rest.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c < ' ' || c >= 127:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

var errRecord = errors.New("malformed progress record")

func unescape(s []byte) (string, error) {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s), nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '\\':
			b = append(b, '\\')
		case i < len(s) && s[i] == 'n':
			b = append(b, '\n')
		case i+2 < len(s) && s[i] == 'x':
			hi, lo := bytes.IndexByte([]byte(hexDigits), s[i+1]), bytes.IndexByte([]byte(hexDigits), s[i+2])
			if hi < 0 || lo < 0 {
				return "", errRecord
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		default:
			return "", errRecord
		}
	}
	return string(b), nil
}

// parseLine returns the record of a whole line, LF included.
func parseLine(line []byte) (Record, error) {
	if len(line) < crcDigits+len(" d \n") || line[len(line)-1] != '\n' || line[crcDigits] != ' ' {
		return Record{}, errRecord
	}
	record := line[crcDigits+1 : len(line)-1]
	var want [crcDigits]byte
	putHex(want[:], Checksum(0, record))
	if !bytes.Equal(want[:], line[:crcDigits]) || record[1] != ' ' {
		return Record{}, errRecord
	}
	return parseRecord(RecordKind(record[0]), record[2:])
}

func parseRecord(kind RecordKind, rest []byte) (Record, error) {
	r := Record{Kind: kind}
	switch kind {
	case Delivered:
		for field := range bytes.SplitSeq(rest, []byte{' '}) {
			index, err := parseIndex(field)
			if err != nil {
				return Record{}, err
			}
			r.Indexes = append(r.Indexes, index)
		}
		return r, nil
	case Failed, Succeeded, Relayed, Deferred:
		fields := bytes.SplitN(rest, []byte{' '}, 3)
		if len(fields) != 3 {
			return Record{}, errRecord
		}
		index, err := parseIndex(fields[0])
		if err != nil {
			return Record{}, err
		}
		seconds, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return Record{}, errRecord
		}
		r.Indexes, r.Time = []int{index}, time.Unix(seconds, 0)
		r.Text, err = unescape(fields[2])
		return r, err
	case Bounced:
		var err error
		r.Bounce, err = ParseID(string(rest))
		return r, err
	case Told:
		return parseTold(r, rest)
	case Tried:
		return parseTried(r, rest)
	case Held, Released, Cancelled, Readdress, Reroute:
		return parseOrder(r, rest)
	case Passed:
		return parsePassed(r, rest)
	}
	switch {
	case isCapital(byte(kind)):
		return Record{}, fmt.Errorf("%w: progress record %q", ErrNewer, byte(kind))
	case kind < 'a' || kind > 'z':
		return Record{}, errRecord
	}
	return r, nil // of a later version
}

// maxAge is in seconds: a century.
const maxAge = 100 * 366 * 24 * 60 * 60

func parseTold(r Record, rest []byte) (Record, error) {
	fields := bytes.Split(rest, []byte{' '})
	if len(fields) != 3 || len(fields[0]) != 1 {
		return Record{}, errRecord
	}
	seconds, err := strconv.ParseUint(string(fields[1]), 10, 63)
	if err != nil || seconds > maxAge {
		return Record{}, errRecord
	}
	r.Channel, r.Age = fields[0][0], time.Duration(seconds)*time.Second
	r.Bounce, err = ParseID(string(fields[2]))
	return r, err
}

func parseIndex(field []byte) (int, error) {
	n, err := strconv.ParseUint(string(field), 10, 31)
	if err != nil {
		return 0, errRecord
	}
	return int(n), nil
}

// ReadRecords calls visit for each record of the progress file in r, with the
// offset of the end of its line. It returns the length of what is good: a
// writer continues there. An error is ErrDamaged, ErrNewer, ErrHuge, that of r, or
// that of visit.
func ReadRecords(r io.Reader, visit func(Record, int64) error) (int64, error) {
	return readRecords(r, maxProgressFile, visit)
}

// readRecords is ReadRecords of a file that has at most so many bytes.
func readRecords(r io.Reader, limit int64, visit func(Record, int64) error) (int64, error) {
	in, err := lines(r, limit)
	if err != nil {
		return 0, err
	}
	var good, offset int64
	torn := false
	for {
		line, err := in.ReadSlice('\n')
		offset += int64(len(line))
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return good, err
		}
		record, parseErr := parseLine(line)
		if parseErr == nil && record.Kind == Passed && offset-int64(len(line))-record.Length <= good {
			torn = false // what is bad says nothing that was relied on
		}
		switch {
		case errors.Is(parseErr, ErrNewer):
			return good, parseErr
		case parseErr != nil:
			torn = torn || len(line) > 0
		case torn && record.Kind == Tried: // nor was this
		case torn:
			return good, fmt.Errorf("%w: progress line before offset %d", ErrDamaged, offset-int64(len(line)))
		default:
			good = offset
			if err := visit(record, good); err != nil {
				return good, err
			}
		}
		if err == io.EOF {
			return good, nil
		}
	}
}

// Progress is what a progress file says of a message.
type Progress struct {
	Finished  Bitmap // by recipient: delivered or failed for good
	Delivered int    // recipients
	Failed    int    // recipients, whether or not they were bounced
	Unbounced int    // what is to be told after the last b
	Bounced   int64  // where that begins in the file
	Size      int64  // of what is good; a writer continues here
	Synced    int64  // the part of that behind which nothing was synced
	// Told is of which delays the sender was told, by channel.
	Told map[byte]time.Duration
	// Held says that nothing is tried until somebody releases it.
	Held bool
	// Changes are what operators changed, by recipient.
	Changes map[int]Change
}

// ReadProgress reads the progress file in r of a message with the given number
// of recipients.
func ReadProgress(r io.Reader, recipients int) (Progress, error) {
	p := Progress{Finished: NewBitmap(recipients)}
	size, err := readRecords(r, progressLimit(recipients), func(record Record, end int64) error {
		for _, index := range record.Indexes {
			if index >= recipients {
				return fmt.Errorf("%w: progress of recipient %d of %d", ErrDamaged, index, recipients)
			}
		}
		p.take(record, end)
		if record.Kind != Tried {
			p.Synced = end
		}
		if record.Kind == Cancelled {
			p.cancel(recipients)
		}
		return nil
	})
	p.Size = size
	return p, err
}

// take adds a record whose line ends at end.
func (p *Progress) take(record Record, end int64) {
	switch record.Kind {
	case Delivered, Failed, Succeeded, Relayed:
		for _, index := range record.Indexes {
			if !p.Finished.Has(index) {
				p.Finished.Set(index)
				p.count(record)
			}
		}
	case Bounced:
		p.Unbounced, p.Bounced = 0, end
	case Told:
		if p.Told == nil {
			p.Told = make(map[byte]time.Duration)
		}
		p.Told[record.Channel] = max(p.Told[record.Channel], record.Age)
	case Held, Released:
		p.Held = record.Kind == Held
	case Readdress, Reroute:
		p.change(record)
	case Deferred, Tried, Passed: // it goes on
	}
}

// count counts a recipient that is finished.
func (p *Progress) count(record Record) {
	if record.Kind == Failed {
		p.Failed++
	} else {
		p.Delivered++
	}
	if record.Text != "" {
		p.Unbounced++
	}
}

// Bitmap is a set of recipients.
type Bitmap []uint64

// NewBitmap returns an empty set of recipients below n.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+63)/64) }

// Has reports whether i is in the set.
func (b Bitmap) Has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// Set puts i into the set.
func (b Bitmap) Set(i int) { b[i/64] |= 1 << (i % 64) }
