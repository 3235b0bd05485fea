package inject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/aliases"
	"postrider/internal/world"
)

// Newaliases says what is wrong by file and line, and makes a database where the
// table can be read.
func TestNewAliases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text   string
		code         int
		says, errors string
		made         bool
	}{
		{"sound", "# x\njoe: jim, bob\njim:\t/box\n", 0, "TABLE: 2 aliases, longest 8 bytes, 18 bytes total\n", "", true},
		{"a name is wrong", "joe: jim\njim: |\n", 111, "TABLE: 2 aliases, longest 3 bytes, 10 bytes total\n", "newaliases: TABLE: line 2: jim: ", true},
		{"a name comes twice", "joe: jim\nJoe: bob\n", 0, "TABLE: 2 aliases, longest 3 bytes, 12 bytes total\n", "newaliases: TABLE: line 2: joe is in line 1 already", true},
		{"a line means nothing", "joe: jim\njim\n", 111, "", "newaliases: TABLE: line 2: no colon: mail for all names waits\n", false},
		{"not there", "", 111, "", "newaliases: TABLE: open ", false},
	} {
		home := t.TempDir()
		table := filepath.Join(home, "aliases")
		if err := os.MkdirAll(home+"/control", 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"control/aliases": table + "\n", "aliases": c.text} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var streams [2]*os.File
		for i := range streams {
			f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			streams[i] = f
		}
		code := NewAliases(world.World{Home: home, Stdout: streams[0], Stderr: streams[1]})
		said, errs := readBack(t, streams[0]), readBack(t, streams[1])
		want := strings.ReplaceAll(c.errors, "TABLE", table)
		if code != c.code || said != strings.ReplaceAll(c.says, "TABLE", table) || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: %d\n%s%s", c.name, code, said, errs)
		}
		if _, err := os.Stat(aliases.BuiltName(table)); (err == nil) != c.made {
			t.Errorf("%s: database: %v", c.name, err)
		}
	}
}

func readBack(t *testing.T, f *os.File) string {
	t.Helper()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
