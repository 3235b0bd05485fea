package vpopmail

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"postrider/internal/maildirsize"
)

// errQuota does not say what the quota is: it may be what its user wrote.
var errQuota = errors.New("a quota that means nothing")

// noQuota begins the quota of a user who has none.
const noQuota = "NO"

// Limit is the quota of the user's mailbox. vpopmail has had several ways to
// write one: 10000000S,1000C as maildirsize files have it, 10000000, 10000K and
// 10MB.
func (u User) Limit() (maildirsize.Limit, error) {
	switch {
	case u.quota == "":
		return maildirsize.Limit{}, nil
	case strings.HasPrefix(u.quota, noQuota):
		return maildirsize.Limit{None: true}, nil
	}
	var most maildirsize.Count
	for part := range strings.SplitSeq(u.quota, ",") {
		digits := strings.TrimRight(part, "SCBKMGscbkmg")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 {
			return maildirsize.Limit{}, errQuota
		}
		unit, known := units[strings.ToUpper(part[len(digits):])]
		if !known || n > math.MaxInt64/max(unit, 1) {
			return maildirsize.Limit{}, errQuota
		}
		if unit == messages {
			most.Messages = n
		} else {
			most.Bytes = n * unit
		}
	}
	return maildirsize.Limit{Line: lineOf(most)}, nil
}

// messages is the unit of a number that counts those, and not bytes.
const messages = 0

var units = map[string]int64{
	"C": messages,
	"":  1, "S": 1, "B": 1,
	"K": 1 << 10, "KB": 1 << 10,
	"M": 1 << 20, "MB": 1 << 20,
	"G": 1 << 30, "GB": 1 << 30,
}

func lineOf(most maildirsize.Count) string {
	switch {
	case most.Messages == 0:
		return fmt.Sprintf("%dS", most.Bytes)
	case most.Bytes == 0:
		return fmt.Sprintf("%dC", most.Messages)
	}
	return fmt.Sprintf("%dS,%dC", most.Bytes, most.Messages)
}
