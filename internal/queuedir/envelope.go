package queuedir

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

// Nonce is chosen at random by whoever submits a message. The same message
// submitted again after a lost answer carries the same nonce.
type Nonce [16]byte

// String returns 32 hexadecimal digits.
func (n Nonce) String() string { return hex.EncodeToString(n[:]) }

// ParseNonce returns the nonce that s spells.
func ParseNonce(s string) (Nonce, error) {
	var n Nonce
	if len(s) != hex.EncodedLen(len(n)) {
		return Nonce{}, errors.New("nonce: 32 hexadecimal digits expected")
	}
	if _, err := hex.Decode(n[:], []byte(s)); err != nil {
		return Nonce{}, fmt.Errorf("nonce: %w", err)
	}
	return n, nil
}

// Head is what an envelope says apart from its recipients.
type Head struct {
	Sender  address.Address
	UID     uint32    // whose process submitted the message
	Arrived time.Time // microseconds; by the spool's clock
	Nonce   Nonce
	Facts   esmtp.Message
	Bulk    bool // its header says that it is of a list or was sent in bulk
}

// An envelope on disk is a sequence of records, each a letter, a value and NUL:
//
//	F sender
//	u uid
//	a arrival (decimal microseconds since 1970)
//	n nonce            each once in this order; then, each at most once,
//	U                  the message needs SMTPUTF8
//	R                  it goes by TLS or not at all (REQUIRETLS, RFC 8689)
//	r RET              FULL or HDRS (RFC 3461)
//	e ENVID            in xtext
//	l user             who has logged in at qmail-smtpd, in xtext
//	s c or h           it is of a client that may relay, or of a program here
//	c address          the host that qmail-smtpd has the message from
//	b 1                its header says that it is of a list, or sent in bulk
//
// and then for each recipient, the first two at most once, and only if given:
//
//	N NOTIFY           which reports are wanted of the recipient that follows
//	o ORCPT            its original address
//	T recipient
//
// An entry without the records of U, R, r, e, l, s, c, b, N and o is as old as
// they are.
// A record with another small letter is of a later version and says nothing
// that must be known: it is passed over. One with another capital letter must
// be understood: for who does not, the entry is ErrNewer, and waits.
const (
	recordSender    = 'F'
	recordUID       = 'u'
	recordArrival   = 'a'
	recordNonce     = 'n'
	recordBulk      = 'b'
	recordRecipient = 'T'
)

// bulkValue is the one value of its record.
const bulkValue = "1"

// maxRecord is the most bytes of a record, its letter and NUL included.
const maxRecord = 1 + address.MaxLen + 1

// AppendHead appends the records of h.
func AppendHead(b []byte, h Head) []byte {
	b = appendRecord(b, recordSender, h.Sender.String())
	b = appendRecord(b, recordUID, strconv.FormatUint(uint64(h.UID), 10))
	b = appendRecord(b, recordArrival, strconv.FormatInt(h.Arrived.UnixMicro(), 10))
	b = appendRecord(b, recordNonce, h.Nonce.String())
	b = h.Facts.Append(b)
	if h.Bulk {
		b = appendRecord(b, recordBulk, bulkValue)
	}
	return b
}

// AppendRecipient appends the record of one recipient; its facts, if there are
// any, come before it.
func AppendRecipient(b []byte, recipient address.Address) []byte {
	return appendRecord(b, recordRecipient, recipient.String())
}

func appendRecord(b []byte, letter byte, value string) []byte {
	b = append(b, letter)
	b = append(b, value...)
	return append(b, 0)
}

// EnvelopeReader reads an envelope record by record, in bounded memory.
type EnvelopeReader struct {
	Head  Head
	Facts esmtp.Recipient // of the recipient that Next returned last
	in    *bufio.Reader
	err   error
}

// envelopeBuffer holds the longest record.
const envelopeBuffer = 4096

// NewEnvelopeReader reads the head of the envelope in r. Any record out of
// place, unknown or malformed is ErrDamaged.
func NewEnvelopeReader(r io.Reader) (*EnvelopeReader, error) {
	return newEnvelopeReader(r, envelopeBuffer)
}

func newEnvelopeReader(r io.Reader, buffer int) (*EnvelopeReader, error) {
	e := &EnvelopeReader{in: bufio.NewReaderSize(r, buffer)}
	e.Head.Sender = e.address(e.value(recordSender))
	uid, err := strconv.ParseUint(e.value(recordUID), 10, 32)
	e.fail(err)
	e.Head.UID = uint32(uid)
	micro, err := strconv.ParseInt(e.value(recordArrival), 10, 64)
	e.fail(err)
	e.Head.Arrived = time.UnixMicro(micro)
	e.Head.Nonce, err = ParseNonce(e.value(recordNonce))
	e.fail(err)
	if e.err == io.EOF {
		e.err = fmt.Errorf("%w: envelope without its first records", ErrDamaged)
	}
	e.messageFacts()
	return e, e.err
}

// messageFacts reads the records that precede those of the first recipient.
func (e *EnvelopeReader) messageFacts() {
	for e.err == nil {
		letter, err := e.in.Peek(1)
		if err != nil || !esmtp.IsMessageRecord(letter[0]) && letter[0] != recordBulk && !skipped(letter[0]) {
			return // Next will tell
		}
		record := e.record()
		switch {
		case e.err != nil || skipped(record[0]):
		case record[0] == recordBulk:
			e.bulk(string(record[1:]))
		default:
			e.fail(e.Head.Facts.Take(record[0], string(record[1:])))
		}
	}
}

func (e *EnvelopeReader) bulk(value string) {
	if e.Head.Bulk || value != bulkValue {
		e.fail(errors.New("record of bulk"))
	}
	e.Head.Bulk = true
}

// Next returns the next recipient, io.EOF after the last.
func (e *EnvelopeReader) Next() (address.Address, error) {
	e.Facts = esmtp.Recipient{}
	for {
		record := e.record()
		switch {
		case e.err == io.EOF && e.Facts != esmtp.Recipient{}:
			e.err = fmt.Errorf("%w: envelope ends before a recipient", ErrDamaged)
		case e.err != nil:
		case record[0] == recordRecipient:
			a := e.address(string(record[1:]))
			return a, e.err
		case esmtp.IsRecipientRecord(record[0]):
			e.fail(e.Facts.Take(record[0], string(record[1:])))
		case !skipped(record[0]):
			e.misplaced(record[0], recordRecipient)
		}
		if e.err != nil {
			return address.Address{}, e.err
		}
	}
}

// skipped reports whether a record with that letter is of a later version and
// may be passed over.
func skipped(letter byte) bool {
	switch letter {
	case recordUID, recordArrival, recordNonce, recordBulk, esmtp.RecordReturn, esmtp.RecordEnvelopeID, esmtp.RecordUser,
		esmtp.RecordOrigin, esmtp.RecordClient, esmtp.RecordOriginal:
		return false
	}
	return 'a' <= letter && letter <= 'z'
}

func (e *EnvelopeReader) address(value string) address.Address {
	if e.err != nil {
		return address.Address{}
	}
	a, err := address.New(value)
	e.fail(err)
	return a
}

// value reads a record that must have the given letter.
func (e *EnvelopeReader) value(letter byte) string {
	record := e.record()
	if e.err == nil && record[0] != letter {
		e.misplaced(record[0], letter)
	}
	if e.err != nil {
		return ""
	}
	return string(record[1:])
}

// record reads a record and returns it without its end; it is valid until the
// next one is read.
func (e *EnvelopeReader) record() []byte {
	if e.err != nil {
		return nil
	}
	record, err := e.in.ReadSlice(0)
	switch {
	case err == io.EOF && len(record) == 0:
		e.err = io.EOF
	case err == io.EOF, errors.Is(err, bufio.ErrBufferFull), err == nil && len(record) > maxRecord:
		e.err = fmt.Errorf("%w: envelope record without its end", ErrDamaged)
	case err != nil:
		e.err = err
	case len(record) == 1:
		e.err = fmt.Errorf("%w: empty envelope record", ErrDamaged)
	default:
		return bytes.TrimSuffix(record, []byte{0})
	}
	return nil
}

func (e *EnvelopeReader) misplaced(letter, wanted byte) {
	if isCapital(letter) && letter != recordSender && letter != recordRecipient && !esmtp.IsMessageRecord(letter) && !esmtp.IsRecipientRecord(letter) {
		e.err = fmt.Errorf("%w: envelope record %q", ErrNewer, letter)
		return
	}
	e.err = fmt.Errorf("%w: envelope record %q where %q belongs", ErrDamaged, letter, wanted)
}

func (e *EnvelopeReader) fail(err error) {
	if e.err == nil && err != nil {
		e.err = fmt.Errorf("%w: envelope: %w", ErrDamaged, err)
	}
}
