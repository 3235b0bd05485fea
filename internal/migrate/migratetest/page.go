// Package migratetest holds the pages about other mail systems to the tables that
// qmail-migrate goes by.
//
// Who may import it: tests of the packages beside it.
package migratetest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Row is a row of a table: cells of words, the first of them a name, and the text
// in the last.
func Row(name, text string, cells ...string) string {
	all := append([]string{"`" + name + "`"}, cells...)
	return "| " + strings.Join(append(all, strings.ReplaceAll(text, "|", `\|`)), " | ") + " |"
}

// File is a cell with a file, or none.
func File(name string) string {
	if name == "" {
		return "-"
	}
	return "`" + name + "`"
}

// Page sees that the tables of a page of docs/ have these rows and no others.
func Page(t *testing.T, page string, want []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
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
