package sendmail

import (
	"strings"

	"postrider/internal/migrate"
)

// entry is a line of a source of makemap(8).
type entry struct {
	key, value string
	where      migrate.Where
}

// entries reads such a source. Keys are in small letters, as makemap folds them;
// of two for a key the first counts, as makemap keeps it without -r.
func entries(text, file string) (all []entry, index map[string]int) {
	index = map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" || line[0] == '#' || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		e := entry{migrate.Lower(line[:end]), strings.TrimSpace(line[end:]), migrate.Where{File: file, Line: number}}
		if _, twice := index[e.key]; twice {
			continue
		}
		index[e.key] = len(all)
		all = append(all, e)
	}
	return all, index
}

// table is a source, read.
type table struct {
	entries []entry
	index   map[string]int
}

func (t table) find(key string) (entry, bool) {
	i, found := t.index[migrate.Lower(key)]
	if !found {
		return entry{}, false
	}
	return t.entries[i], true
}

// names are the first words of the lines of a class file.
func names(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 0 {
			all = append(all, migrate.Lower(f[0]))
		}
	}
	return all
}
