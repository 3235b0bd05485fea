package readings

import (
	"slices"
	"strings"
	"time"

	"postrider/internal/exposition"
	"postrider/internal/legible"
)

// prefix begins the names of all figures.
const prefix = "postrider_"

// maxSeries bounds what is kept of one figure, maxLabel a label's value.
const (
	maxSeries = 200
	maxLabel  = 40
)

// figuresShown are those that are shown, with the labels that tell their values
// apart; values that differ in other labels are added up.
var figuresShown = map[string][]string{
	"queue_messages":          {"state"},
	"queue_oldest_seconds":    nil,
	"queue_age_messages":      {"age"},
	"messages_accepted_total": {"via"},
	"deliveries_total":        {"channel", "outcome"},
	"deliveries_running":      {"channel"},
	"deliveries_limit":        {"channel"},
	"smtp_sessions":           nil,
	"smtp_sessions_limit":     nil,
	"smtp_sessions_total":     nil,
	"smtp_tls_sessions_total": nil,
	"smtp_refusals_total":     {"rule"},
	"auth_attempts_total":     {"result"},
	"workers":                 {"program"},
	"process_up":              {"program"},
	"process_restarts_total":  {"program"},
	"start_time_seconds":      nil,
}

// timingsShown are the histograms that are shown, in the same way.
var timingsShown = map[string][]string{
	"delivery_seconds":      {"channel"},
	"queue_wait_seconds":    nil,
	"commit_seconds":        nil,
	"queue_sync_seconds":    nil,
	"queue_sync_group_size": nil,
}

// Reading is what the figures say at one moment: by the name of a figure, and
// then by the values of its labels with blanks between them.
type Reading struct {
	At     time.Time
	Values map[string]map[string]float64
	Times  map[string]map[string]exposition.Histogram
}

// Read reads the text of a process that may have been told anything.
func Read(body string, at time.Time) (Reading, error) {
	r := Reading{At: at, Values: make(map[string]map[string]float64), Times: make(map[string]map[string]exposition.Histogram)}
	err := exposition.Read(body, func(s exposition.Sample) {
		name, ours := strings.CutPrefix(s.Name, prefix)
		if !ours {
			return
		}
		if labels, known := figuresShown[name]; known {
			add(r.Values, name, labelsOf(s, labels), func(old float64) float64 { return old + s.Value })
			return
		}
		if base, bucket := strings.CutSuffix(name, "_bucket"); bucket {
			if labels, known := timingsShown[base]; known {
				add(r.Times, base, labelsOf(s, labels), func(old exposition.Histogram) exposition.Histogram {
					old.Add(s.Get("le"), s.Value)
					return old
				})
			}
		}
		if base, sum := strings.CutSuffix(name, "_sum"); sum {
			if labels, known := timingsShown[base]; known {
				add(r.Times, base, labelsOf(s, labels), func(old exposition.Histogram) exposition.Histogram {
					old.Sum += s.Value
					return old
				})
			}
		}
	})
	return r, err
}

// labelsOf joins the values of labels.
func labelsOf(s exposition.Sample, labels []string) string {
	values := make([]string, len(labels))
	for i, l := range labels {
		value := s.Get(l)
		values[i] = legible.ASCII(value[:min(len(value), maxLabel)])
	}
	return strings.Join(values, " ")
}

// add changes a value of a figure, while there is room for it.
func add[V any](all map[string]map[string]V, name, key string, change func(V) V) {
	series := all[name]
	if series == nil {
		series = make(map[string]V)
		all[name] = series
	}
	if old, known := series[key]; known || len(series) < maxSeries {
		series[key] = change(old)
	}
}

// Value returns one value of a figure, and whether there is one.
func (r Reading) Value(name, key string) (float64, bool) {
	v, known := r.Values[name][key]
	return v, known
}

// Sum adds up the values of a figure.
func (r Reading) Sum(name string) (total float64) {
	for _, v := range r.Values[name] {
		total += v
	}
	return total
}

// Keys returns the labels' values of a figure, the greatest value first.
func (r Reading) Keys(name string) []string {
	series := r.Values[name]
	keys := make([]string, 0, len(series))
	for k := range series {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		switch {
		case series[a] > series[b]:
			return -1
		case series[a] < series[b]:
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}
