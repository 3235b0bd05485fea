package queuectl

import (
	"slices"
	"testing"

	"postrider/internal/figures"
)

// TestStatesAreThoseOfFigures: figures speak of the queue in the words of
// qmail-queuectl.
func TestStatesAreThoseOfFigures(t *testing.T) {
	t.Parallel()
	if len(phases) != len(figures.States) {
		t.Errorf("%d states, figures have %d", len(phases), len(figures.States))
	}
	for _, s := range phases {
		if !slices.Contains(figures.States, string(s)) {
			t.Errorf("figures have no state %s", s)
		}
	}
	for _, row := range figures.Table() {
		if row.Name != "postrider_destinations" {
			continue
		}
		for _, s := range row.Series {
			found := false
			for _, word := range standings {
				found = found || word == s[0]
			}
			if !found || len(row.Series) != len(standings) {
				t.Errorf("destinations %q, figures %q", standings, row.Series)
			}
		}
	}
}
