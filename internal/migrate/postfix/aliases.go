package postfix

import (
	"errors"
	"io/fs"
	"strings"

	"postrider/internal/migrate"
)

// aliasTable is a text of aliases(5), as newaliases(1) of Postfix reads it.
type aliasTable struct {
	file    string
	entries map[string]entry
	err     error
}

// aliasTables are those of alias_maps. What is no text of the usual types is in
// the error of its own.
func (c *config) aliasTables() []*aliasTable {
	var all []*aliasTable
	for _, spec := range words(c.main.get("alias_maps")) {
		all = append(all, c.aliasTable(spec))
	}
	return all
}

func (c *config) aliasTable(spec string) *aliasTable {
	if t := c.names[spec]; t != nil {
		return t
	}
	t := &aliasTable{entries: map[string]entry{}}
	c.names[spec] = t
	kind, name, found := strings.Cut(strings.TrimPrefix(spec, "proxy:"), ":")
	if !found || strings.Contains(name, ":") || !isIndexed(kind) {
		t.err = errUntold{c.table(spec)}
		if other := c.table(spec); other.err == nil { // texthash: and such have another form
			t.err = errors.New(spec + ": a table of aliases of this type is not read")
		}
		return t
	}
	t.file = c.main.path(name)
	text, err := c.tree.Read(t.file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) || c.main.isSet("alias_maps") {
			t.err = err
		}
		return t
	}
	for _, l := range logicalLines(text) {
		if name, list, found := cutAlias(l.text); found {
			name = migrate.Lower(name)
			if _, twice := t.entries[name]; !twice {
				t.entries[name] = entry{name, list, migrate.Where{File: t.file, Line: l.line}}
			}
		}
	}
	return t
}

func isIndexed(kind string) bool {
	for _, k := range indexed {
		if k == kind {
			return k != "fail"
		}
	}
	return false
}

// cutAlias takes name: list apart.
func cutAlias(line string) (name, list string, found bool) {
	if line[0] == '"' {
		end := strings.IndexByte(line[1:], '"')
		if end < 0 {
			return "", "", false
		}
		list, found = strings.CutPrefix(strings.TrimLeft(line[2+end:], " \t"), ":")
		return line[1 : 1+end], list, found
	}
	name, list, found = strings.Cut(line, ":")
	return strings.TrimRight(name, " \t"), list, found && name != ""
}

func (c *config) findAlias(name string) (e entry, found bool, err error) {
	for _, t := range c.aliasTables() {
		if t.err != nil {
			return entry{}, false, t.err
		}
		if e, found = t.entries[name]; found {
			return e, true, nil
		}
	}
	return entry{}, false, nil
}
