package aliases

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/control"
)

// Tables and lists are found where they are now, and say what they will say.
func TestTablesElsewhere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"control/aliases": "/etc/aliases\n",
		"etc/aliases":     "list: :include:/etc/members\n",
		"etc/members":     "joe@far.example\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tables := NewAt(control.Dir(filepath.Join(root, "control")), func(name string) string { return filepath.Join(root, name) })
	e, found, err := tables.Expand("list", "here.example")
	if err != nil || !found || len(e.Targets) != 1 || e.Targets[0].Text != "joe@far.example" {
		t.Errorf("got %v, %v, %v", e, found, err)
	}
}
