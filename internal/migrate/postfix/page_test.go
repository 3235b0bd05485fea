package postfix

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPageHasTheTable holds the tables of docs/migrate-from-postfix.md to the source.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/migrate-from-postfix.md")
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

// rows are those of the tables: parameters, and words of restrictions.
func rows() (all []string) {
	for _, p := range parameters {
		if p.text == "" {
			continue
		}
		file := "-"
		if p.file != "" {
			file = "`" + p.file + "`"
		}
		all = append(all, "| `"+p.name+"` | "+string(p.kind)+" | "+file+" | "+cell(p.text)+" |")
	}
	for _, w := range restrictionWords {
		all = append(all, "| `"+w.word+"` | "+string(w.kind)+" | "+cell(w.text)+" |")
	}
	return all
}

// cell is a text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
