// Package maildirsize reads the file of that name in a Maildir++: the quota of
// the mailbox and what it holds, as Courier, Dovecot and vpopmail keep them.
//
// Any package may import it. The text is the mailbox owner's, so hostile.
//
// The first line is the quota: a number followed by S (bytes) or C (messages),
// several separated by commas. Each further line is what was added, as two
// numbers, bytes and messages, negative if it was removed; blanks pad a line.
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
