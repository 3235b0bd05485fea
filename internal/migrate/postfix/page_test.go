package postfix

import (
	"testing"

	"postrider/internal/migrate/migratetest"
)

// The tables of docs/migrate-from-postfix.md are parameters, and words of
// restrictions.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	var rows []string
	for _, p := range parameters {
		if p.text != "" {
			rows = append(rows, migratetest.Row(p.name, p.text, string(p.kind), migratetest.File(p.file)))
		}
	}
	for _, w := range restrictionWords {
		rows = append(rows, migratetest.Row(w.word, w.text, string(w.kind)))
	}
	migratetest.Page(t, "migrate-from-postfix.md", rows)
}
