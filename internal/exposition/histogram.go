package exposition

import (
	"math"
	"slices"
	"strconv"
)

// maxBuckets bounds a histogram.
const maxBuckets = 100

// Bucket is how many observations were at most Bound, which goes up to infinity.
type Bucket struct{ Bound, Count float64 }

// Histogram is the buckets of one histogram, by bound, and its sum.
type Histogram struct {
	Buckets []Bucket
	Sum     float64
}

// Add takes up a bucket, whose bound is the label "le" of its sample. Several
// with the same bound, of other labels, are added up.
func (h *Histogram) Add(le string, count float64) {
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil || math.IsNaN(bound) || math.IsNaN(count) {
		return // no bucket
	}
	i, found := slices.BinarySearchFunc(h.Buckets, bound, func(b Bucket, bound float64) int {
		switch {
		case b.Bound < bound:
			return -1
		case b.Bound > bound:
			return 1
		}
		return 0
	})
	switch {
	case found:
		h.Buckets[i].Count += count
	case len(h.Buckets) < maxBuckets:
		h.Buckets = slices.Insert(h.Buckets, i, Bucket{bound, count})
	}
}

// Count is how many observations there were.
func (h Histogram) Count() float64 {
	if len(h.Buckets) == 0 {
		return 0
	}
	return h.Buckets[len(h.Buckets)-1].Count
}

// Since returns what has come to h since earlier. If that is not its past, after
// a restart, all of h is new.
func (h Histogram) Since(earlier Histogram) Histogram {
	if len(earlier.Buckets) != len(h.Buckets) {
		return h
	}
	since := Histogram{Buckets: slices.Clone(h.Buckets), Sum: h.Sum - earlier.Sum}
	for i, old := range earlier.Buckets {
		if old.Bound != h.Buckets[i].Bound || old.Count > h.Buckets[i].Count {
			return h
		}
		since.Buckets[i].Count -= old.Count
	}
	return since
}

// Quantile returns a value that the share q of the observations did not exceed,
// as far as buckets tell: between the bounds of its bucket it is where it would
// be if they were spread evenly. Beyond the last bound it is that bound. Without
// observations there is none.
func (h Histogram) Quantile(q float64) (value float64, some bool) {
	total := h.Count()
	if !(total > 0) || math.IsInf(total, 0) {
		return 0, false
	}
	rank := q * total
	var below Bucket
	for _, b := range h.Buckets {
		if b.Count >= rank && b.Count > below.Count {
			if math.IsInf(b.Bound, 1) {
				return below.Bound, true
			}
			return below.Bound + (b.Bound-below.Bound)*(rank-below.Count)/(b.Count-below.Count), true
		}
		below = b
	}
	return below.Bound, true
}
