package maildate

import "time"

// Header returns t for a header field: "22 Nov 2026 00:37:36 -0000", the day
// without a leading zero and no weekday. The zone -0000 is UTC without a claim
// about where the writer lives (RFC 5322 section 3.3).
func Header(t time.Time) string {
	return t.UTC().Format("2 Jan 2006 15:04:05 -0000")
}

// FromLine returns t for the "From " line of an mbox: always 24 bytes,
// "Sun Nov 22 00:30:28 2026", the day with a leading zero.
func FromLine(t time.Time) string {
	return t.UTC().Format("Mon Jan 02 15:04:05 2006")
}
