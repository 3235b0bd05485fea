package tlsrpt

import "time"

// Report is the report of one day about one domain (RFC 8460 section 4.4), as
// encoding/json writes it.
type Report struct {
	Organisation string   `json:"organization-name"`
	Range        Range    `json:"date-range"`
	Contact      string   `json:"contact-info"`
	ID           string   `json:"report-id"`
	Results      []Result `json:"policies"`
}

// Range is what a report is about, from second to second.
type Range struct {
	Start time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// Result is what was found of one policy.
type Result struct {
	Policy   Policy    `json:"policy"`
	Summary  Summary   `json:"summary"`
	Failures []Failure `json:"failure-details,omitempty"`
}

// Summary counts sessions.
type Summary struct {
	Good   int64 `json:"total-successful-session-count"`
	Failed int64 `json:"total-failure-session-count"`
}

// Valid reports whether r may be put into a report.
func (r Result) Valid() bool {
	if !r.Policy.Valid() || r.Summary.Good < 0 || r.Summary.Failed < 0 {
		return false
	}
	for _, f := range r.Failures {
		if !f.Valid() || f.Sessions < 1 {
			return false
		}
	}
	return true
}
