package maildate

import (
	"testing"
	"time"
)

func TestForms(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 5*3600+1800)
	for _, c := range []struct {
		at           time.Time
		header, from string
	}{
		{time.Date(2026, 11, 22, 0, 37, 36, 999, time.UTC), "22 Nov 2026 00:37:36 -0000", "Sun Nov 22 00:37:36 2026"},
		{time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), "3 Feb 2026 04:05:06 -0000", "Tue Feb 03 04:05:06 2026"},
		{time.Date(2026, 1, 1, 1, 0, 0, 0, east), "31 Dec 2025 19:30:00 -0000", "Wed Dec 31 19:30:00 2025"},
		{time.Unix(0, 0), "1 Jan 1970 00:00:00 -0000", "Thu Jan 01 00:00:00 1970"},
	} {
		if got := Header(c.at); got != c.header {
			t.Errorf("Header(%v) = %q, want %q", c.at, got, c.header)
		}
		if got := FromLine(c.at); got != c.from || len(got) != 24 {
			t.Errorf("FromLine(%v) = %q, want %q", c.at, got, c.from)
		}
	}
}
