package queuedir

import (
	"errors"
	"time"
)

// ID names a message for as long as it is in the suite: 20 decimal digits,
// microseconds since 1970 (16 digits), a sequence that starts at random (2)
// and the bucket (2). It is the msg and the qp number of the logs.
type ID [20]byte

// Buckets is the number of directories below new/ and info/.
const Buckets = 100

// ErrID is returned for a string that is not an ID.
var ErrID = errors.New("not a message number: 20 decimal digits expected")

// NewID returns the ID of a message that arrives at t.
func NewID(t time.Time, sequence, bucket int) ID {
	var id ID
	putDigits(id[:16], uint64(max(0, t.UnixMicro())))
	putDigits(id[16:18], uint64(sequence%100))
	putDigits(id[18:], uint64(bucket%Buckets))
	return id
}

func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// ParseID returns the ID that s spells.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != len(id) {
		return ID{}, ErrID
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return ID{}, ErrID
		}
		id[i] = s[i]
	}
	return id, nil
}

// String returns the 20 digits.
func (id ID) String() string { return string(id[:]) }

// Time returns when the message arrived: its birth.
func (id ID) Time() time.Time {
	var micro int64
	for _, c := range id[:16] {
		micro = micro*10 + int64(c-'0')
	}
	return time.UnixMicro(micro)
}

// Bucket returns the name of the directory that holds the message's files.
func (id ID) Bucket() string { return string(id[18:]) }

// BucketIndex returns the number of that directory.
func (id ID) BucketIndex() int { return int(id[18]-'0')*10 + int(id[19]-'0') }
