package smtpd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/figures"
)

// TestRulesAreCounted: each rule that a reply names has a series of its own, and
// there is none that no reply names.
func TestRulesAreCounted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := []string{"other"}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\brule(?::| =) "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			named = append(named, m[1])
		}
	}
	for _, rule := range named {
		if !slices.Contains(figures.Rules, rule) {
			t.Errorf("the rule %s has no series", rule)
		}
	}
	for _, rule := range figures.Rules {
		if !slices.Contains(named, rule) {
			t.Errorf("no reply names the rule %s", rule)
		}
	}
}
