package sendmail

import (
	"slices"
	"testing"

	"postrider/internal/migrate/migratetest"
)

// The tables of docs/migrate-from-sendmail.md are what define names, then features
// and macros.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	var rows []string
	for _, s := range append(slices.Clone(defines), features...) {
		if s.text != "" {
			rows = append(rows, migratetest.Row(s.name, s.text, string(s.kind), migratetest.File(s.file)))
		}
	}
	migratetest.Page(t, "migrate-from-sendmail.md", rows)
}
