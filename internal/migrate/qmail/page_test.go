package qmail

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPageHasTheTable holds the tables of docs/migrate-from-qmail.md to the source.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/migrate-from-qmail.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	want := rows()
	if len(want) < 60 {
		t.Errorf("%d rows", len(want))
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("the page does not have\n%s", row)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the page has %d rows, the source %d", len(got), len(want))
	}
}

// rows are those of the table.
func rows() (all []string) {
	for _, s := range settings {
		text := s.text
		if text == "" {
			text = "as it is"
		}
		all = append(all, "| `"+s.name+"` | "+s.from+" | "+string(s.kind)+" | "+cell(text)+" |")
	}
	return all
}

// cell is a text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
