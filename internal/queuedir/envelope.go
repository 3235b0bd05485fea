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
}

// An envelope on disk is a sequence of records, each a letter, a value and
// NUL: F sender, u uid, a arrival (decimal microseconds since 1970), n nonce,
// each once in this order, then T recipient any number of times.
const (
	recordSender    = 'F'
	recordUID       = 'u'
	recordArrival   = 'a'
	recordNonce     = 'n'
	recordRecipient = 'T'
)

// maxRecord is the most bytes of a record, its letter and NUL included.
const maxRecord = 1 + address.MaxLen + 1

// AppendHead appends the records of h.
func AppendHead(b []byte, h Head) []byte {
	b = appendRecord(b, recordSender, h.Sender.String())
	b = appendRecord(b, recordUID, strconv.FormatUint(uint64(h.UID), 10))
	b = appendRecord(b, recordArrival, strconv.FormatInt(h.Arrived.UnixMicro(), 10))
	return appendRecord(b, recordNonce, h.Nonce.String())
}

// AppendRecipient appends the record of one recipient.
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
	Head Head
	in   *bufio.Reader
	err  error
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
	e.Head.Sender = e.address(recordSender)
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
	return e, e.err
}

// Next returns the next recipient, io.EOF after the last.
func (e *EnvelopeReader) Next() (address.Address, error) {
	a := e.address(recordRecipient)
	return a, e.err
}

func (e *EnvelopeReader) address(letter byte) address.Address {
	value := e.value(letter)
	if e.err != nil {
		return address.Address{}
	}
	a, err := address.New(value)
	e.fail(err)
	return a
}

// value reads a record that must have the given letter.
func (e *EnvelopeReader) value(letter byte) string {
	if e.err != nil {
		return ""
	}
	record, err := e.in.ReadSlice(0)
	switch {
	case err == io.EOF && len(record) == 0:
		e.err = io.EOF
		return ""
	case err == io.EOF, errors.Is(err, bufio.ErrBufferFull), err == nil && len(record) > maxRecord:
		e.err = fmt.Errorf("%w: envelope record without its end", ErrDamaged)
		return ""
	case err != nil:
		e.err = err
		return ""
	case record[0] != letter:
		e.err = fmt.Errorf("%w: envelope record %q where %q belongs", ErrDamaged, record[0], letter)
		return ""
	}
	return string(bytes.TrimSuffix(record[1:], []byte{0}))
}

func (e *EnvelopeReader) fail(err error) {
	if e.err == nil && err != nil {
		e.err = fmt.Errorf("%w: envelope: %w", ErrDamaged, err)
	}
}
