package figures

import (
	"os"
	"slices"
	"sync/atomic"
)

// mostTold bounds every number that is told: a float64 has all up to here.
const mostTold = 1 << 53

// Area is an area that is read.
type Area struct {
	// Number is its place among those of qmail-start, Program who counts there.
	Number  int
	Program string
	words   []uint64
}

// OpenArea maps an area to be read, and closes f.
func OpenArea(number int, program string, f *os.File) (Area, error) {
	defer f.Close() // the memory stays
	words, err := mapArea(f, false)
	return Area{number, program, words}, err
}

// Family is a metric with its series.
type Family struct {
	Metric
	Samples []Sample
}

// Sample is what is told of a series.
type Sample struct {
	Labels []string // values, in the order of Metric.Labels
	Value  float64  // of a counter or gauge
	// Of a histogram: the numbers of what was at most each of the bounds, of all,
	// and their sum, in what is told.
	Buckets []uint64
	Count   uint64
	Sum     float64
}

// Read returns what areas hold together. The owner is that of qmail-start, which
// says where processes work.
func Read(owner Area, areas []Area) []Family {
	all := append([]Area{owner}, areas...)
	var families []Family
	for id, row := range here.rows {
		f := Family{Metric: row}
		for series := range row.Series {
			if s, told := owner.sample(ID(id), series, all); told {
				f.Samples = append(f.Samples, s)
			}
		}
		if len(f.Samples) > 0 {
			families = append(families, f)
		}
	}
	return families
}

// sample adds up a series.
func (owner Area) sample(id ID, series int, areas []Area) (s Sample, told bool) {
	row := here.rows[id]
	s.Labels = row.Series[series]
	told = row.Kind != Optional
	var sum uint64
	if row.Kind == Histogram {
		s.Buckets = make([]uint64, len(row.Bounds))
	}
	for _, a := range areas {
		if !slices.Contains(row.By, a.Program) {
			continue
		}
		switch row.Kind {
		case Counter:
			sum = plus(sum, a.word(id, series))
		case Histogram:
			s.addHistogram(a, id, series, &sum)
		case Gauge:
			if owner.hasLive(a) {
				sum = plus(sum, a.gauge(id, series))
			}
		case Optional:
			if n := a.gauge(id, series); n > 0 && owner.hasLive(a) {
				sum, told = plus(sum, n-1), true
			}
		}
	}
	s.Value, s.Sum = float64(sum)/row.Unit, float64(sum)/row.Unit
	return s, told
}

// addHistogram adds a series of an area to s, and to the sum of what it has seen.
func (s *Sample) addHistogram(a Area, id ID, series int, sum *uint64) {
	bounds := len(here.rows[id].Bounds)
	place := series * (bounds + 2)
	below := uint64(0)
	for i := range s.Buckets {
		below = plus(below, a.word(id, place+i))
		s.Buckets[i] = plus(s.Buckets[i], below)
	}
	s.Count = plus(s.Count, plus(below, a.word(id, place+bounds)))
	*sum = plus(*sum, a.word(id, place+bounds+1))
}

// plus adds, up to mostTold.
func plus(a, b uint64) uint64 { return min(min(a, mostTold)+min(b, mostTold), mostTold) }

// word reads a word of a row.
func (a Area) word(id ID, offset int) uint64 {
	place := here.first[id] + offset
	if place >= len(a.words) {
		return 0
	}
	return atomic.LoadUint64(&a.words[place])
}

// gauge reads a gauge. One that is negative, as while a number that goes down is
// seen before the one that went up, is told as 0.
func (a Area) gauge(id ID, series int) uint64 { return uint64(max(0, int64(a.word(id, series)))) }

// hasLive reports whether a process works in an area, as its owner says.
func (owner Area) hasLive(a Area) bool {
	place := here.live + a.Number
	return a.Number >= 0 && a.Number < MaxAreas && place < len(owner.words) && atomic.LoadUint64(&owner.words[place]) != 0
}
