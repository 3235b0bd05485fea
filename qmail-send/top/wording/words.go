package wording

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Full writes a number with commas: 1,000,000.
func Full(n float64) string {
	if !(n >= 0 && n < 1e15) {
		return "?"
	}
	digits := strconv.FormatInt(int64(n), 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Short writes a number in at most five columns: 9999, 12.3k, 123k, 1.2M.
func Short(n float64) string {
	if !(n >= 0 && n < 1e15) {
		return "?"
	}
	if n < 10_000 {
		return strconv.FormatInt(int64(n), 10)
	}
	for _, unit := range []string{"k", "M", "G"} {
		if n /= 1000; n < 99.95 {
			return fmt.Sprintf("%.1f%s", n, unit)
		}
		if n < 999.5 {
			return fmt.Sprintf("%.0f%s", n, unit)
		}
	}
	return fmt.Sprintf("%.0fT", n/1000)
}

// PerSecond writes a rate in at most five columns: 0, 0.03, 9.1, 123, 12.3k.
func PerSecond(r float64) string {
	switch {
	case !(r >= 0 && r < 1e15):
		return "?"
	case r == 0:
		return "0"
	case r < 0.1:
		return fmt.Sprintf("%.2f", max(r, 0.01))
	case r < 99.95:
		return fmt.Sprintf("%.1f", r)
	}
	return Short(r + 0.5)
}

// Brief writes a time in at most five columns: 2ms, 0.4s, 12s, 5m, 3h, 2d.
func Brief(seconds float64) string {
	switch {
	case !(seconds >= 0 && seconds < 1e12):
		return "?"
	case seconds < 0.0995:
		return fmt.Sprintf("%.0fms", seconds*1000)
	case seconds < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", seconds), ".0") + "s"
	case seconds < 100:
		return fmt.Sprintf("%.0fs", seconds)
	case seconds < 100*60:
		return fmt.Sprintf("%.0fm", seconds/60)
	case seconds < 48*3600:
		return fmt.Sprintf("%.0fh", seconds/3600)
	}
	return Short(seconds/86400) + "d"
}

// Long writes a time in two units: 3d 4h, 5m 2s.
func Long(d time.Duration) string {
	if d < 0 {
		return "0s"
	}
	seconds := int64(d / time.Second)
	for _, u := range []struct {
		seconds, less int64
		names         string
	}{{86400, 3600, "dh"}, {3600, 60, "hm"}, {60, 1, "ms"}} {
		if seconds >= u.seconds {
			return fmt.Sprintf("%d%c %d%c", seconds/u.seconds, u.names[0], seconds%u.seconds/u.less, u.names[1])
		}
	}
	return fmt.Sprintf("%ds", seconds)
}

// Plural writes how many things there are.
func Plural(n float64, one, more string) string {
	if n == 1 {
		return Full(n) + " " + one
	}
	return Full(n) + " " + more
}

// Cut makes text n columns long at most, and shows that there was more.
func Cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	if n < 1 {
		return ""
	}
	return text[:n-1] + ">"
}
