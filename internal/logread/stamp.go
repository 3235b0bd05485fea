package logread

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// tai is how many seconds a TAI64 label is ahead of Unix time: 2^62, and the ten
// seconds that TAI was ahead of UTC in 1970. Loggers in qmail's manner know no
// leap seconds, so that this is all.
const tai = 1<<62 + 10

// lastSecond is that of the year 9999, after which RFC 3339 has no times.
const lastSecond = 253402300799

// Stamp takes the time, the host and the tag that a logger has put in front of a
// line off it, and returns the time, or the zero one if the line has none, and
// the rest. It knows the labels of multilog and tai64n, those that tai64nlocal
// makes of them, the lines of syslogs and of journalctl (with a day of this
// year or the year before, as is nearest before now), and splogger's seconds. A
// line without any of these comes back as it is.
func Stamp(line string, now time.Time) (time.Time, string) {
	for _, read := range []func(string, time.Time) (time.Time, string, bool){labelled, localised, syslogged} {
		if at, rest, ok := read(line, now); ok {
			if seconds, text, ok := splogged(rest); ok {
				return seconds, text
			}
			return at, rest
		}
	}
	if seconds, text, ok := splogged(line); ok {
		return seconds, text
	}
	return time.Time{}, line
}

// labelled reads "@" and a TAI64N label, 24 digits of base 16.
func labelled(line string, _ time.Time) (time.Time, string, bool) {
	label, rest, found := strings.Cut(line, " ")
	if !found || len(label) != 25 || label[0] != '@' {
		return time.Time{}, "", false
	}
	var b [12]byte
	if _, err := hex.Decode(b[:], []byte(label[1:])); err != nil {
		return time.Time{}, "", false
	}
	seconds, nanos := uint64(0), int64(0)
	for _, c := range b[:8] {
		seconds = seconds<<8 | uint64(c)
	}
	for _, c := range b[8:] {
		nanos = nanos<<8 | int64(c)
	}
	if seconds < tai || seconds-tai > lastSecond || nanos >= 1e9 {
		return time.Time{}, "", false // no logger made it
	}
	return time.Unix(int64(seconds-tai), nanos), rest, true
}

// localised reads "2026-11-26 10:05:00.123456789".
func localised(line string, _ time.Time) (time.Time, string, bool) {
	const form = "2006-01-02 15:04:05"
	if len(line) < len(form) || line[4] != '-' || line[10] != ' ' {
		return time.Time{}, "", false
	}
	text, rest := line, ""
	if i := strings.IndexByte(line[len(form):], ' '); i >= 0 {
		text, rest = line[:len(form)+i], line[len(form)+i+1:]
	}
	at, err := time.ParseInLocation(form, text, time.Local) // it takes a fraction, too
	return at, rest, err == nil
}

// syslogged reads "Nov 26 10:05:00 host tag[1]: " and the same with a time as
// RFC 3339 has it.
func syslogged(line string, now time.Time) (time.Time, string, bool) {
	at, rest, ok := syslogTime(line, now)
	if !ok {
		return time.Time{}, "", false
	}
	_, rest, ok = strings.Cut(rest, " ") // the host
	if !ok {
		return time.Time{}, "", false
	}
	tag, text, ok := strings.Cut(rest, ": ")
	if !ok || strings.ContainsRune(tag, ' ') {
		return time.Time{}, "", false
	}
	return at, text, true
}

func syslogTime(line string, now time.Time) (time.Time, string, bool) {
	const old = "Jan _2 15:04:05"
	if word, rest, found := strings.Cut(line, " "); found && len(word) > len("2006-01-02T") && word[10] == 'T' {
		for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05-0700"} {
			if at, err := time.Parse(form, word); err == nil {
				return at, rest, true
			}
		}
		return time.Time{}, "", false
	}
	if len(line) <= len(old) || line[len(old)] != ' ' {
		return time.Time{}, "", false
	}
	at, err := time.ParseInLocation(old, line[:len(old)], time.Local)
	if err != nil {
		return time.Time{}, "", false
	}
	at = time.Date(now.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.Local)
	if at.After(now.Add(24 * time.Hour)) {
		at = at.AddDate(-1, 0, 0)
	}
	return at, line[len(old)+1:], true
}

// splogged reads the seconds that splogger puts in front: "1764151500.123456".
func splogged(line string) (time.Time, string, bool) {
	word, rest, found := strings.Cut(line, " ")
	whole, fraction, dotted := strings.Cut(word, ".")
	if !found || !dotted || len(fraction) != 6 || len(whole) < 9 || len(whole) > 11 {
		return time.Time{}, "", false
	}
	seconds, err := strconv.ParseUint(whole, 10, 63)
	if err != nil {
		return time.Time{}, "", false
	}
	micros, err := strconv.ParseUint(fraction, 10, 63)
	if err != nil {
		return time.Time{}, "", false
	}
	return time.Unix(int64(seconds), int64(micros)*1000), strings.TrimPrefix(rest, "+"), true
}
