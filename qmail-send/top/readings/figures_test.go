package readings

import (
	"maps"
	"slices"
	"testing"

	"postrider/internal/figures"
)

// TestFiguresAreThose that qmail-metrics serves, with their labels.
func TestFiguresAreThose(t *testing.T) {
	t.Parallel()
	served := make(map[string]figures.Metric)
	for _, m := range figures.Table() {
		served[m.Name] = m
	}
	for _, shown := range []map[string][]string{figuresShown, timingsShown} {
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			m, known := served[prefix+name]
			if !known {
				t.Errorf("%s is not served", name)
			}
			for _, label := range shown[name] {
				if !slices.Contains(m.Labels, label) {
					t.Errorf("%s has no label %s", name, label)
				}
			}
		}
	}
}
