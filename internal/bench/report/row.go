package report

import "fmt"

// Row is one line of the table.
type Row struct {
	Key   string
	Title string
	Unit  string
	Lower bool // less is better
	Goal  Goal
}

// Goal is what ours shall reach: Times as good as Than, or at most AtMost.
type Goal struct {
	Times  float64
	Than   string // a mail system, or Fastest
	AtMost float64
}

// Fastest as Goal.Than is the best of all others.
const Fastest = "the best"

// String says the goal in a few words.
func (g Goal) String() string {
	switch {
	case g.AtMost > 0:
		return fmt.Sprintf("under %g", g.AtMost)
	case g.Times > 0:
		return fmt.Sprintf("%g x %s", g.Times, g.Than)
	}
	return ""
}

// outcome says what was reached of the row's goal; reached is empty where
// there is no goal or nothing to compare with.
func (r Row) outcome(res *Results) (reached string, met bool) {
	ours, measured := res.Median(res.Systems[0], r.Key)
	if !measured {
		return "", false
	}
	if r.Goal.AtMost > 0 {
		return Number(ours), ours <= r.Goal.AtMost
	}
	if r.Goal.Times == 0 {
		return "", false
	}
	theirs, measured := r.against(res, r.Goal.Than)
	if !measured {
		return "", false
	}
	times := r.ratio(ours, theirs)
	return fmt.Sprintf("%.1f x", times), times >= r.Goal.Times
}

// against returns the value of another mail system, or the best of all others.
func (r Row) against(res *Results, than string) (best float64, measured bool) {
	for _, system := range res.Systems[1:] {
		if than != Fastest && system != than {
			continue
		}
		v, ok := res.Median(system, r.Key)
		if ok && (!measured || r.ratio(v, best) > 1) {
			best, measured = v, true
		}
	}
	return best, measured
}

// ratio returns how many times as good a is as b.
func (r Row) ratio(a, b float64) float64 {
	if r.Lower {
		a, b = b, a
	}
	if b == 0 {
		return 0
	}
	return a / b
}

// Number writes three digits that matter.
func Number(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
