package rspawn

import (
	"strings"
	"testing"
)

// TestCombine has the table of spec 3.3, which qmail's own programs have made.
func TestCombine(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"r|Kok|":        "Kok",
		"hno|Dgive|":    "Dnogive",
		"slater|Dgive|": "Zlater" + "give",
		"hno|Ztemp|":    "Dno",
		"slater|Kok|":   "Zlater",
		"r|":            "D",
		"Knote|r|Zx|":   "Knote",
		"Kok|":          "Kok",
		"Zlater|":       "Zlater",
		"Dno|":          "Dno",
		"Kok":           "Kok", // without its NUL
		"r|Zx|":         "Zx",
		"r|Dx|":         "Dx",
		"slater|Ztemp|": "Zlatertemp",
		"|":             "D",
		"garbage":       "Darbage",
		"r|x|Kok|":      "K",
	} {
		r := combine([]byte(strings.ReplaceAll(output, "|", "\x00")))
		if got := string(byte(r.Class)) + r.Text; got != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, path, want string }{
		{"/bin/sh", "", "/bin/sh"}, {"sh", "PATH=/nonexistent:/bin", "/bin/sh"}, {"sh", "PATH=bin:.", ""}, {"./sh", "PATH=/bin", ""}, {"", "PATH=/bin", ""},
		{"sh", "", ""}, {"no-such-program", "PATH=/bin", ""},
	} {
		got, err := find(c.name, []string{"A=b", c.path})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q in %q: %q, %v", c.name, c.path, got, err)
		}
	}
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("hno\x00Dgive\x00"))
	f.Fuzz(func(t *testing.T, output []byte) {
		if len(output) == 0 {
			return
		}
		if r := combine(output); !strings.Contains("KZD", string(byte(r.Class))) {
			t.Fatalf("%q: class %q", output, r.Class)
		}
	})
}
