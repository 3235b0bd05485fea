package figures

// Kind is what a metric is to who reads it.
type Kind int

// The kinds.
const (
	// Counter only grows.
	Counter Kind = iota
	// Gauge goes up and down, and is that of the processes that run.
	Gauge
	// Optional is a Gauge whose series are there once they were set.
	Optional
	// Histogram counts what was observed, by its size.
	Histogram
)

// Metric is a row of the table.
type Metric struct {
	// Name is that of the Prometheus metric.
	Name string
	Kind Kind
	Help string
	// By are the programs that count it: what others have written there is not
	// believed.
	By []string
	// Labels are the names of the labels; Series the values of each series.
	Labels []string
	Series [][]string
	// Bounds are those of a histogram's buckets, in Unit; the last bucket is
	// for what is larger.
	Bounds []uint64
	// Unit is how many of what is counted are one of what is told: a million
	// for microseconds that are told in seconds.
	Unit float64
}

// ID names a row of the table.
type ID int

// one is the series of a metric without labels.
var one = [][]string{nil}

// each returns a series for each value of the only label.
func each(values []string) (series [][]string) {
	for _, v := range values {
		series = append(series, []string{v})
	}
	return series
}

// cells is how many words the metric takes.
func (m Metric) cells() int {
	if m.Kind == Histogram {
		return len(m.Series) * (len(m.Bounds) + 2) // the last bucket, and the sum
	}
	return len(m.Series)
}

// BuildInfo is the metric that qmail-metrics adds to those of the table.
const BuildInfo = "postrider_build_info"
