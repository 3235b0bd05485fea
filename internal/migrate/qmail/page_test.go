package qmail

import (
	"cmp"
	"testing"

	"postrider/internal/migrate/migratetest"
)

// The table of docs/migrate-from-qmail.md is control files and the like.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	var rows []string
	for _, s := range settings {
		rows = append(rows, migratetest.Row(s.name, cmp.Or(s.text, "as it is"), s.from, string(s.kind)))
	}
	migratetest.Page(t, "migrate-from-qmail.md", rows)
}
