package maildirsize

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// MaxFile is the largest file that is believed. Who keeps it begins a new one
// at 5120 bytes.
const MaxFile = 64 << 10

// ErrForm says that a text is no such file, or one that is being written.
var ErrForm = errors.New("not of the form of a maildirsize file")

// Count is a number of bytes and of messages. In a quota 0 is no limit.
type Count struct{ Bytes, Messages int64 }

// Exceeds reports whether c is more than a quota has room for.
func (c Count) Exceeds(quota Count) bool {
	return quota.Bytes > 0 && c.Bytes > quota.Bytes || quota.Messages > 0 && c.Messages > quota.Messages
}

// percentOf is how much of a quota c takes, of bytes or of messages, whatever
// is more. Less than nothing is 0.
func (c Count) percentOf(quota Count) int {
	most := 0.0
	if quota.Bytes > 0 {
		most = max(most, float64(c.Bytes)/float64(quota.Bytes))
	}
	if quota.Messages > 0 {
		most = max(most, float64(c.Messages)/float64(quota.Messages))
	}
	return int(min(most, 1000) * 100)
}

// plus adds up, within the limits of its numbers.
func (c Count) plus(other Count) Count {
	return Count{plus(c.Bytes, other.Bytes), plus(c.Messages, other.Messages)}
}

func plus(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// Reaches reports whether there is no room left in a quota.
func (c Count) Reaches(quota Count) bool {
	return quota.Bytes > 0 && c.Bytes >= quota.Bytes || quota.Messages > 0 && c.Messages >= quota.Messages
}

// Parse returns the quota of a mailbox and what it holds.
func Parse(text string) (quota, holds Count, err error) {
	if len(text) > MaxFile || !strings.HasSuffix(text, "\n") {
		return Count{}, Count{}, ErrForm
	}
	first, rest, _ := strings.Cut(text, "\n")
	if quota, err = parseQuota(strings.TrimSpace(first)); err != nil {
		return Count{}, Count{}, err
	}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return Count{}, Count{}, ErrForm
		}
		if !add(&holds.Bytes, fields[0]) || !add(&holds.Messages, fields[1]) {
			return Count{}, Count{}, ErrForm
		}
	}
	return quota, holds, nil
}

func parseQuota(line string) (quota Count, err error) {
	for part := range strings.SplitSeq(line, ",") {
		if part == "" {
			return Count{}, ErrForm
		}
		n, err := strconv.ParseInt(part[:len(part)-1], 10, 64)
		if err != nil || n < 0 {
			return Count{}, ErrForm
		}
		switch part[len(part)-1] {
		case 'S':
			quota.Bytes = n
		case 'C':
			quota.Messages = n
		default:
			return Count{}, ErrForm
		}
	}
	return quota, nil
}

// add adds a number to a sum that stays within its limits.
func add(sum *int64, text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > 0 && *sum > math.MaxInt64-n || n < 0 && *sum < math.MinInt64-n {
		return false
	}
	*sum += n
	return true
}
