package report

import (
	"slices"
)

// Results are values by mail system and row, one a round.
type Results struct {
	Systems []string // in the order of the table; the first is ours
	values  map[cell][]float64
	notes   []string
}

type cell struct{ system, row string }

// NewResults returns empty results for these mail systems.
func NewResults(systems ...string) *Results {
	return &Results{Systems: systems, values: make(map[cell][]float64)}
}

// Add adds the value of one round.
func (r *Results) Add(system, row string, value float64) {
	key := cell{system, row}
	r.values[key] = append(r.values[key], value)
}

// Note keeps a sentence for below the table, once.
func (r *Results) Note(sentence string) {
	if !slices.Contains(r.notes, sentence) {
		r.notes = append(r.notes, sentence)
	}
}

// Median returns the median of the rounds.
func (r *Results) Median(system, row string) (value float64, measured bool) {
	v := r.values[cell{system, row}]
	if len(v) == 0 {
		return 0, false
	}
	return Median(v), true
}

// Range returns the least and the most of the rounds, which must be there.
func (r *Results) Range(system, row string) (least, most float64) {
	v := r.values[cell{system, row}]
	return slices.Min(v), slices.Max(v)
}

// Median returns the middle value, of an even number the mean of the two.
func Median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Percentile returns the value that p of 100 values do not exceed.
func Percentile(values []float64, p int) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[max(0, (len(v)*p+99)/100-1)]
}
