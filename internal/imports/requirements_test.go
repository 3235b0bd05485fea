package imports

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	requirementRow = regexp.MustCompile(`(?m)^\| (R\d+) \| [^|]+ \| ([^|]+) \|$`)
	testName       = regexp.MustCompile("`([a-z/-]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
)

// TestRequirementsAreChecked holds docs/requirements.md to the source: each
// requirement has a test that exists, or says that it is not met yet.
func TestRequirementsAreChecked(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := requirementRow.FindAllStringSubmatch(string(text), -1)
	if n := strings.Count(string(text), "\n| R"); n != len(rows) || n == 0 {
		t.Errorf("%d of %d requirements can be read: three columns each", len(rows), n)
	}
	sources := make(map[string]string)
	for _, row := range rows {
		number, checks := row[1], row[2]
		tests := testName.FindAllStringSubmatch(checks, -1)
		if len(tests) == 0 && !strings.HasPrefix(checks, "not yet: ") {
			t.Errorf("%s names no test", number)
		}
		for _, test := range tests {
			dir, name := test[1], test[2]
			if _, known := sources[dir]; !known {
				sources[dir] = testsOf(t, dir)
			}
			if !strings.Contains(sources[dir], "\nfunc "+name+"(") {
				t.Errorf("%s names %s in %s, which is not there", number, name, dir)
			}
		}
	}
}

// testsOf returns the text of all test files of a directory.
func testsOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}
