package readings

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"postrider/internal/exposition"
	"postrider/internal/legible"
)

// readings makes a history, a reading a second, of a figure.
func readings(t *testing.T, name string, values ...float64) *History {
	t.Helper()
	var h History
	for i, v := range values {
		r, err := Read(fmt.Sprintf("postrider_%s %g\n", name, v), noon.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		h.Add(r)
	}
	return &h
}

func TestRate(t *testing.T) {
	t.Parallel()
	ever := make([]float64, 200) // 1 a second, and then 3
	for i := range ever {
		ever[i] = float64(i)
		if i > 150 {
			ever[i] += 2 * float64(i-150)
		}
	}
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
		known  bool
	}{
		{"nothing", nil, 0, false},
		{"one reading", []float64{5}, 0, false},
		{"two", []float64{5, 9}, 4, true},
		{"none of it", []float64{5, 5}, 0, true},
		{"several", []float64{0, 1, 5, 6}, 2, true},
		{"begun anew", []float64{100, 101, 1, 3}, 4.0 / 3, true},
		{"the last ten seconds alone", ever, 3, true},
	} {
		h := readings(t, "smtp_sessions_total", c.values...)
		got, known := h.Rate("smtp_sessions_total", "")
		if math.Abs(got-c.want) > 1e-9 || known != c.known {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, known, c.want, c.known)
		}
		if len(h.all) > maxReadings || len(h.all) > 0 && h.all[len(h.all)-1].At.Sub(h.all[0].At) > keep {
			t.Errorf("%s: %d readings are kept", c.name, len(h.all))
		}
	}
	h := readings(t, "smtp_sessions_total", 1, 2)
	h.Add(Reading{At: noon.Add(-time.Hour)})
	if _, known := h.Rate("smtp_sessions_total", ""); known || len(h.all) != 1 {
		t.Error("a clock that was set back makes a rate")
	}
}

// TestReadingIsBounded whatever is served.
func TestReadingIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "postrider_smtp_refusals_total{rule=\"%d\x1b%s\"} 1\nother_total{x=\"%d\"} 1\n", i, strings.Repeat("x", 100), i)
	}
	r, err := Read(b.String(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Keys("smtp_refusals_total")); n != maxSeries || len(r.Values) != 1 {
		t.Errorf("%d rules of %d figures are kept", n, len(r.Values))
	}
	for _, key := range r.Keys("smtp_refusals_total") {
		if len(key) > maxLabel || key != legible.ASCII(key) {
			t.Errorf("the rule %q is kept", key)
		}
	}
	if _, err := Read("postrider_smtp_sessions x", noon); err == nil {
		t.Error("a word is taken for a number")
	}
	if _, err := Read(strings.Repeat("#", exposition.MaxText+1), noon); err == nil {
		t.Error("any size is read")
	}
}

// noon is when what the tests read was said.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
