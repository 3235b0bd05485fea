package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain lets this program be what the tool starts in its own place.
func TestMain(m *testing.M) {
	runInside()
	os.Exit(m.Run())
}

const source = `package p

const two = 1 + 1

func f(a []int, ok bool) (n int) {
	for i := 0; i < len(a); i++ {
		if !ok || a[i] > two &&
			a[i] != 7 {
			n += a[i] - 1
			continue
		}
		switch {
		case i == 3:
			n = 0
		}
	}
	return n
}
`

// Every kind of change is made, and none of what is no statement; lines stay.
func TestRewrite(t *testing.T) {
	t.Parallel()
	m := mutator{dropped: map[string]drop{}}
	out, err := m.rewrite("p.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "p.go", out, 0); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if got, want := strings.Count(string(out), "\n"), strings.Count(source, "\n"); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	var got []string
	for i, m := range m.mutants {
		if m.id != i+1 {
			t.Errorf("%q has the number %d", m.text, m.id)
		}
		got = append(got, fmt.Sprintf("%d: %s", m.line, m.text))
	}
	want := []string{
		"6: i < len(a) -> false", "6: i < len(a) -> i <= len(a)", "6: i < len(a) -> i >= len(a)",
		"7: !ok || a[i] > two && a[i] != 7 -> false", "7: !ok || a[i] > two && a[i] != 7 -> true",
		"7: !ok || a[i] > two && a[i] != 7 -> !ok && a[i] > two && a[i] != 7", "7: !ok -> ok",
		"7: a[i] > two && a[i] != 7 -> a[i] > two || a[i] != 7", "7: a[i] > two -> a[i] >= two", "7: a[i] > two -> a[i] <= two",
		"8: a[i] != 7 -> a[i] == 7", "9: n += a[i] - 1 -> nothing", "10: continue -> nothing", "9: a[i] - 1 -> a[i] + 1",
		"13: i == 3 -> false", "13: i == 3 -> true", "14: n = 0 -> nothing", "13: i == 3 -> i != 3",
	}
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What does not compile is dropped by line: arithmetic first.
func TestDropLines(t *testing.T) {
	t.Parallel()
	dropped := map[string]drop{}
	said := "# p\n./p.go:9:3: invalid operation\n/x/y/p.go:9:7: again\nnote: p.go:10:1\n"
	if !dropLines(map[string]drop{}, "/x/p.go:9: far to the right\n") {
		t.Error("a complaint without a column is none")
	}
	for _, want := range []bool{true, true, false} {
		if got := dropLines(dropped, said); got != want || len(dropped) != 1 {
			t.Errorf("progress %v, %v", got, dropped)
		}
	}
	m := mutator{dropped: map[string]drop{"p.go:9": dropArithmetic, "p.go:6": dropAll}}
	if _, err := m.rewrite("p.go", []byte(source)); err != nil {
		t.Fatal(err)
	}
	for _, m := range m.mutants {
		if m.line == 6 || m.line == 9 && m.arithmetic {
			t.Errorf("line %d: %s", m.line, m.text)
		}
	}
}

// A whole run: what the test sees is killed, and what it does not survives. What it
// finds in /proc is its own process.
func TestMutate(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"p/p.go": "package p\n\nfunc Larger(a, b int) string {\n\tif a > b {\n\t\treturn \"a\" + \"\"\n\t}\n\treturn \"b\"\n}\n\n" +
			"func unused(a int) int { return a - 1 }\n",
		"p/p_test.go": "package p\n\nimport (\n\t\"os\"\n\t\"strconv\"\n\t\"testing\"\n)\n\nfunc TestLarger(t *testing.T) {\n" +
			"\tif me, err := os.Readlink(\"/proc/self\"); err != nil || me != strconv.Itoa(os.Getpid()) {\n\t\tt.Fatal(me, err)\n\t}\n\tif Larger(2, 1) != \"a\" || Larger(1, 2) != \"b\" {\n\t\tt.Error()\n\t}\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	work := t.TempDir()
	p, err := buildMutants("./p", work)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := options{}.survey(p, work)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, name := range p.names() {
		got = append(got, name+": "+options{}.try(p, work, tests, p.mutants[i].id))
	}
	want := []string{
		"p/p.go: a > b -> false: killed", "p/p.go: a > b -> true: killed", "p/p.go: a > b -> a >= b: survived", "p/p.go: a > b -> a <= b: killed",
		"p/p.go: a - 1 -> a + 1: " + unreached,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The list names places that there are, each with a reason.
func TestEquivalentList(t *testing.T) {
	t.Parallel()
	list, err := readEquivalent()
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range list {
		file, change, _ := strings.Cut(name, ": ")
		if _, err := os.Stat(filepath.Join("../..", file)); err != nil || !strings.Contains(change, " -> ") || why == "equivalent: " {
			t.Errorf("%s: %s; %v", name, why, err)
		}
	}
}
