package tlspolicy

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: a table of many lines, and lines that are long.
func TestTableIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		table := Table{byDomain: make(map[string]Policy)}
		for line := range strings.Lines(text) {
			_ = table.add(strings.TrimSuffix(line, "\n")) // whether it is valid does not matter here
		}
	}, lineartest.Units("a.example:verify\n", ".", ":", "a ", "a:verify b ", "x:pin ", "\xc3\xa9"),
		lineartest.Around("a.example:verify b.example\n", "é.example:may oldtls\n", ":pin "+someHash+"\n"))
}
