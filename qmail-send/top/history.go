package top

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

// history is the readings of the last minute, the newest at the end.
type history struct{ all []reading }

// add takes up a reading. One that is not younger than the last, after the clock
// was set back, begins anew.
func (h *history) add(r reading) {
	if n := len(h.all); n > 0 && !r.at.After(h.all[n-1].at) {
		h.all = nil
	}
	h.all = append(h.all, r)
	for len(h.all) > maxReadings || r.at.Sub(h.all[0].at) > keep {
		h.all = h.all[1:]
	}
}

// last returns the newest reading.
func (h *history) last() (r reading, some bool) {
	if len(h.all) == 0 {
		return reading{}, false
	}
	return h.all[len(h.all)-1], true
}

// within returns the readings of the last time d, at least two, if there are.
func (h *history) within(d time.Duration) []reading {
	n := len(h.all)
	if n < 2 {
		return nil
	}
	first := n - 2
	for first > 0 && h.all[n-1].at.Sub(h.all[first-1].at) <= d {
		first--
	}
	return h.all[first:]
}

// rate returns by how much a value grows in a second; known is false before the
// second reading. A counter that is smaller than before has begun anew at 0.
func (h *history) rate(name, key string) (perSecond float64, known bool) {
	return h.growth(func(r reading) float64 { return r.values[name][key] })
}

// rateOfAll is rate for the sum of all values of a figure.
func (h *history) rateOfAll(name string) (perSecond float64, known bool) {
	return h.growth(func(r reading) float64 { return r.sum(name) })
}

func (h *history) growth(of func(reading) float64) (perSecond float64, known bool) {
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

// change returns by how much the sum of a figure that goes up and down has changed
// within a minute.
func (h *history) change(name string) float64 {
	some := h.within(timeWindow)
	if len(some) == 0 {
		return 0
	}
	return some[len(some)-1].sum(name) - some[0].sum(name)
}

// flow returns how many messages come in, and for how many recipients mail is
// done with, in a second.
func (h *history) flow() (in, out float64, known bool) {
	in, known = h.rateOfAll("messages_accepted_total")
	out, _ = h.growth(func(r reading) float64 {
		done := 0.0
		for series, n := range r.values["deliveries_total"] {
			if !strings.HasSuffix(series, " deferral") {
				done += n
			}
		}
		return done
	})
	return in, out, known
}

// span is the seconds from the first reading to the last, which are not the same.
func span(some []reading) float64 { return some[len(some)-1].at.Sub(some[0].at).Seconds() }

// timing returns a histogram of the last minute, and one of all there was.
func (h *history) timing(name, key string) (minute, all exposition.Histogram) {
	r, _ := h.last()
	all = r.times[name][key]
	if some := h.within(timeWindow); len(some) > 0 {
		minute = all.Since(some[0].times[name][key])
	}
	return minute, all
}
