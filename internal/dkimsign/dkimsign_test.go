package dkimsign

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
)

var lines = []string{
	"Example.ORG s1 k1.pem",
	"example.org e1 k2.pem expire=7",
	".example.org s1 k1.pem",
	"news.example.org -",
	".a.example.org s2 d/k3",
	"b\u00fccher.example s1 k1.pem",
}

func TestRules(t *testing.T) {
	t.Parallel()
	table, err := Parse(lines)
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{
		"example.org":           "example.org/s1/k1.pem/0s example.org/e1/k2.pem/168h0m0s",
		"x.example.org":         "example.org/s1/k1.pem/0s",
		"y.x.example.org":       "example.org/s1/k1.pem/0s",
		"news.example.org":      "not",
		"x.news.example.org":    "example.org/s1/k1.pem/0s",
		"a.example.org":         "example.org/s1/k1.pem/0s",
		"x.a.example.org":       "a.example.org/s2/d/k3/0s",
		"xn--bcher-kva.example": "xn--bcher-kva.example/s1/k1.pem/0s",
		"notexample.org":        "", "org": "", "": "", ".": "", "example.org.": "",
	} {
		rules, listed := table.Rules(domain)
		var got []string
		for _, r := range rules {
			got = append(got, strings.Join([]string{r.Domain, r.Selector, r.Key, r.Lifetime.String()}, "/"))
		}
		text := strings.Join(got, " ")
		if listed && rules == nil {
			text = "not"
		}
		if text != want || listed != (want != "") {
			t.Errorf("%q: %s, %v, want %s", domain, text, listed, want)
		}
	}
	if got := table.Keys(); !slices.Equal(got, []string{"d/k3", "k1.pem", "k2.pem"}) {
		t.Errorf("keys %q", got)
	}
	if table.Empty() || !(Table{}).Empty() {
		t.Error("Empty is wrong")
	}
	if rules, listed := (Table{}).Rules("example.org"); rules != nil || listed {
		t.Error("the zero value signs")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"example.org", "example.org s1", "org s1 k", "example..org s1 k", "- s1 k", "ex:ample.org s1 k", "-example.org s1 k",
		"example.org - k", "example.org s;1 k", "example.org s..1 k", "example.org s1 ../k", "example.org s1 .k", "example.org s1 a/b/c", "example.org s1 a/../b", "example.org s1 /b", "example.org s1 b/", "example.org s1 a/.b",
		"example.org s1 k expire=0", "example.org s1 k expire=366", "example.org s1 k expire=x", "example.org s1 k expire", "example.org s1 k x",
		"example.org s1 k expire=1 expire=1", "example.org s1 k\x01", "example.org " + strings.Repeat("s", 64) + " k",
		"example.org s1 " + strings.Repeat("k", 201), strings.Repeat("a.", 130) + "org s1 k", strings.Repeat("a", 64) + ".org s1 k",
		"example.org s1 k\nexample.org S1 k2", "example.org -\nexample.org s1 k", "example.org s1 k\nexample.org -", "example.org -\nexample.org -",
		"example.org a k\nexample.org b k\nexample.org c k\nexample.org d k\nexample.org e k",
	} {
		if table, err := Parse(strings.Split(text, "\n")); err == nil {
			t.Errorf("%q: %v", text, table)
		} else if !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: %v does not name the line", text, err)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if table, err := Read(control.Dir(dir)); err != nil || !table.Empty() {
		t.Errorf("without a file: %v, %v", table, err)
	}
	file := filepath.Join(dir, "dkimsign")
	if err := os.WriteFile(file, []byte("# mine\n"+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	table, err := Read(control.Dir(dir))
	if rules, _ := table.Rules("example.org"); err != nil || len(rules) != 2 || rules[1].Lifetime != 7*24*time.Hour {
		t.Errorf("%v, %v", rules, err)
	}
	if err := os.WriteFile(file, []byte("example.org s1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(control.Dir(dir)); err == nil || !strings.Contains(err.Error(), file+`, line 1: "example.org s1"`) {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: what is taken can be written into a signature and opened as a file.
func FuzzParse(f *testing.F) {
	f.Add(strings.Join(lines, "\n"), "x.example.org")
	f.Fuzz(func(t *testing.T, text, domain string) {
		var list []string
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, " \t\r\n"); strings.TrimSpace(line) != "" {
				list = append(list, line)
			}
		}
		table, err := Parse(list)
		if err != nil {
			return
		}
		for _, name := range table.Keys() {
			if !filepath.IsLocal(name) || name != filepath.Clean(name) || name[0] == '.' {
				t.Errorf("a key in %q", name)
			}
		}
		rules, _ := table.Rules(domain)
		for _, r := range rules {
			if !strings.HasSuffix(domain, r.Domain) || strings.ContainsAny(r.Domain+r.Selector, "; \t\r\n\x00=") || len(rules) > maxEach {
				t.Errorf("%q has the rule %+v", domain, r)
			}
		}
	})
}
