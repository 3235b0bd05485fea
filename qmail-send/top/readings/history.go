package readings

import (
	"strings"
	"time"

	"postrider/internal/exposition"
)

const (
	// rateWindow is what a rate is taken over: one of a single second would
	// jump, and nobody could read it.
	rateWindow = 10 * time.Second
	// timeWindow is the same for latencies.
	timeWindow = time.Minute
	// keep is how long readings are kept.
	keep = timeWindow + 5*time.Second
	// maxReadings bounds them in any case.
	maxReadings = 120
)

// History is the readings of the last minute, the newest at the end.
type History struct{ all []Reading }

// Add takes up a reading. One that is not younger than the last, after the clock
// was set back, begins anew.
func (h *History) Add(r Reading) {
	if n := len(h.all); n > 0 && !r.At.After(h.all[n-1].At) {
		h.all = nil
	}
	h.all = append(h.all, r)
	for len(h.all) > maxReadings || r.At.Sub(h.all[0].At) > keep {
		h.all = h.all[1:]
	}
}

// Last returns the newest reading.
func (h *History) Last() (r Reading, some bool) {
	if len(h.all) == 0 {
		return Reading{}, false
	}
	return h.all[len(h.all)-1], true
}

// within returns the readings of the last time d, at least two, if there are.
func (h *History) within(d time.Duration) []Reading {
	n := len(h.all)
	if n < 2 {
		return nil
	}
	first := n - 2
	for first > 0 && h.all[n-1].At.Sub(h.all[first-1].At) <= d {
		first--
	}
	return h.all[first:]
}

// Rate returns by how much a value grows in a second; known is false before the
// second reading. A counter that is smaller than before has begun anew at 0.
func (h *History) Rate(name, key string) (perSecond float64, known bool) {
	return h.growth(func(r Reading) float64 { return r.Values[name][key] })
}

// RateOfAll is Rate for the sum of all values of a figure.
func (h *History) RateOfAll(name string) (perSecond float64, known bool) {
	return h.growth(func(r Reading) float64 { return r.Sum(name) })
}

func (h *History) growth(of func(Reading) float64) (perSecond float64, known bool) {
	some := h.within(rateWindow)
	if len(some) == 0 {
		return 0, false
	}
	total := 0.0
	for i := 1; i < len(some); i++ {
		old, now := of(some[i-1]), of(some[i])
		if now < old {
			old = 0
		}
		total += now - old
	}
	return total / span(some), true
}

// Change returns by how much the sum of a figure that goes up and down has changed
// within a minute.
func (h *History) Change(name string) float64 {
	some := h.within(timeWindow)
	if len(some) == 0 {
		return 0
	}
	return some[len(some)-1].Sum(name) - some[0].Sum(name)
}

// Flow returns how many messages come in, and for how many recipients mail is
// done with, in a second.
func (h *History) Flow() (in, out float64, known bool) {
	in, known = h.RateOfAll("messages_accepted_total")
	out, _ = h.growth(func(r Reading) float64 {
		done := 0.0
		for series, n := range r.Values["deliveries_total"] {
			if !strings.HasSuffix(series, " deferral") {
				done += n
			}
		}
		return done
	})
	return in, out, known
}

// Latest is Flow between the last two readings.
func (h *History) Latest() (in, out float64, known bool) {
	n := len(h.all)
	if n < 2 {
		return 0, 0, false
	}
	last := History{all: h.all[n-2:]}
	return last.Flow()
}

// span is the seconds from the first reading to the last, which are not the same.
func span(some []Reading) float64 { return some[len(some)-1].At.Sub(some[0].At).Seconds() }

// Timing returns a histogram of the last minute, and one of all there was.
func (h *History) Timing(name, key string) (minute, all exposition.Histogram) {
	r, _ := h.Last()
	all = r.Times[name][key]
	if some := h.within(timeWindow); len(some) > 0 {
		minute = all.Since(some[0].Times[name][key])
	}
	return minute, all
}
