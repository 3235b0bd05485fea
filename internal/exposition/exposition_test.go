package exposition

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func all(text string) (samples []Sample, err error) {
	err = Read(text, func(s Sample) { samples = append(samples, s) })
	return samples, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []Sample
	}{
		{"nothing", "", nil},
		{"comments and empty lines", "# HELP a b\n# TYPE a counter\n\n", nil},
		{"no labels", "up 1\n", []Sample{{Name: "up", Value: 1}}},
		{"no line end", "up 1", []Sample{{Name: "up", Value: 1}}},
		{"a time behind", "up 1.5e3 1764151500000\n", []Sample{{Name: "up", Value: 1500}}},
		{"labels", `a_total{x="1",y="two"} 3` + "\n", []Sample{{"a_total", []Label{{"x", "1"}, {"y", "two"}}, 3}}},
		{"blanks and a last comma", "a { x = \"1\" , } 3\r\n", []Sample{{"a", []Label{{"x", "1"}}, 3}}},
		{"no label in braces", "a{} 3", []Sample{{Name: "a", Value: 3}}},
		{"quoted", `a{x="q\"b\\n\n}"} 3`, []Sample{{"a", []Label{{"x", "q\"b\\n\n}"}}, 3}}},
		{"infinite", `a_bucket{le="+Inf"} +Inf`, []Sample{{"a_bucket", []Label{{"le", "+Inf"}}, math.Inf(1)}}},
	} {
		got, err := all(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxWord+1)
	for _, text := range []string{
		"1 2", "a", "a b", "a 1 2 3", `a{`, `a{x}`, `a{x=}`, `a{x="}`, `a{x="\`, `a{x="1" y="2"} 3`, `a{x="1"`, `{x="1"} 2`, "\x00 1", "a{\xff=\"1\"} 1",
		long + " 1", `a{x="` + long + `"} 1`, `a{` + long + `="1"} 1`, `a{` + strings.Repeat(`x="1",`, maxLabels+1) + `} 1`,
		strings.Repeat("#\n", MaxText), strings.Repeat("a 1\n", MaxSamples+1),
	} {
		if got, err := all("up 1\n" + text); err == nil {
			t.Errorf("%.60q is read: %v", text, got)
		}
	}
	if _, err := all("up 1\n\nb\n"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("the line is not named: %v", err)
	}
}

// times makes a histogram of how many observations each bucket has alone.
func times(alone ...float64) Histogram {
	var h Histogram
	count := 0.0
	for i, n := range alone {
		count += n
		le := fmt.Sprint(math.Pow(10, float64(i-2)))
		if i == len(alone)-1 {
			le = "+Inf"
		}
		h.Add(le, count)
	}
	return h
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    Histogram
		q    float64
		want float64
		some bool
	}{
		{"nothing", Histogram{}, 0.5, 0, false},
		{"no observations", times(0, 0, 0), 0.5, 0, false},
		{"in the first bucket", times(10, 0, 0), 0.5, 0.005, true},
		{"in the second", times(0, 10, 0), 0.5, 0.055, true},
		{"beyond the last bound", times(0, 0, 10), 0.5, 0.1, true},
		{"at the end of one", times(5, 5, 0), 0.5, 0.01, true},
		{"counts that go down", Histogram{Buckets: []Bucket{{1, 5}, {2, 3}, {math.Inf(1), 4}}}, 0.99, 0.792, true},
		{"an infinite count", Histogram{Buckets: []Bucket{{1, math.Inf(1)}}}, 0.5, 0, false},
	} {
		got, some := c.h.Quantile(c.q)
		if some != c.some || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, some, c.want, c.some)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	if got := times(6, 5, 1).Since(times(5, 5, 0)); !reflect.DeepEqual(got, times(1, 0, 1)) {
		t.Errorf("the difference is %v", got)
	}
	if got := times(1, 0, 0).Since(times(5, 5, 0)); !reflect.DeepEqual(got, times(1, 0, 0)) {
		t.Errorf("after a restart: %v", got)
	}
	if got := times(1, 0, 0).Since(Histogram{}); !reflect.DeepEqual(got, times(1, 0, 0)) {
		t.Errorf("without a past: %v", got)
	}
}

// FuzzRead: anything is read or refused, within the limits, and what buckets say
// is no surprise for who computes with it.
func FuzzRead(f *testing.F) {
	f.Add("a_bucket{le=\"0.1\",x=\"q\\\"\"} 3\na_bucket{le=\"+Inf\"} NaN\n# x\nb 1e400 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		var h Histogram
		n := 0
		_ = Read(text, func(s Sample) {
			n++
			if s.Name == "" || len(s.Name) > maxWord || len(s.Labels) > maxLabels || len(s.Get("le")) > maxWord {
				t.Fatalf("%+v", s)
			}
			h.Add(s.Get("le"), s.Value)
		})
		if n > MaxSamples || len(h.Buckets) > maxBuckets {
			t.Fatalf("%d samples, %d buckets", n, len(h.Buckets))
		}
		h.Since(h).Quantile(0.5)
		h.Quantile(0.99)
	})
}
