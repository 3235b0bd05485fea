package metrics

import (
	"io"
	"runtime"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"postrider/internal/figures"
)

// contentType is that of the format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// write writes families, and what this program is.
func write(out io.Writer, families []figures.Family) error {
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(out, family(f)); err != nil {
			return err
		}
	}
	_, err := expfmt.MetricFamilyToText(out, build())
	return err
}

// build is a metric without a number: its labels say which program this is.
func build() *dto.MetricFamily {
	return family(figures.Family{
		Metric: figures.Metric{
			Name: figures.BuildInfo, Kind: figures.Gauge, Labels: []string{"goversion", "layout"},
			Help: "What this program is: the release of Go, and the layout of the figures.",
		},
		Samples: []figures.Sample{{Labels: []string{runtime.Version(), figures.Layout()}, Value: 1}},
	})
}

// family puts a family into the words of the library.
func family(f figures.Family) *dto.MetricFamily {
	out := &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: kinds[f.Kind].Enum()}
	for _, s := range f.Samples {
		m := &dto.Metric{}
		for i, name := range f.Labels {
			m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &s.Labels[i]})
		}
		switch f.Kind {
		case figures.Counter:
			m.Counter = &dto.Counter{Value: &s.Value}
		case figures.Histogram:
			m.Histogram = histogram(f.Metric, s)
		default:
			m.Gauge = &dto.Gauge{Value: &s.Value}
		}
		out.Metric = append(out.Metric, m)
	}
	return out
}

var kinds = []dto.MetricType{
	figures.Counter: dto.MetricType_COUNTER, figures.Gauge: dto.MetricType_GAUGE,
	figures.Optional: dto.MetricType_GAUGE, figures.Histogram: dto.MetricType_HISTOGRAM,
}

func histogram(row figures.Metric, s figures.Sample) *dto.Histogram {
	h := &dto.Histogram{SampleCount: &s.Count, SampleSum: &s.Sum}
	for i, count := range slices.Clone(s.Buckets) {
		bound := float64(row.Bounds[i]) / row.Unit
		h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: &count, UpperBound: &bound})
	}
	return h
}
