package postfix

import (
	"fmt"
	"slices"
	"strings"

	"postrider/internal/migrate"
)

// entry is what a table has for a key.
type entry struct {
	key, value string
	where      migrate.Where
}

// table is type:name, read.
type table struct {
	spec    string
	entries []entry        // of an indexed table, in their order
	index   map[string]int // where in entries a key is
	rules   []rule         // of a table of patterns
	static  *string        // of static:
	err     error          // why it is not read; it has nothing then
}

// indexed are the types whose source is a text beside the database.
var indexed = []string{"hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "fail"}

// table reads a table once.
func (c *config) table(spec string) *table {
	for _, proxied := range []string{"proxy:", "proxywrite:"} {
		spec = strings.TrimPrefix(spec, proxied)
	}
	if t := c.tables[spec]; t != nil {
		return t
	}
	t := &table{spec: spec, index: map[string]int{}}
	c.tables[spec] = t
	kind, name, found := strings.Cut(spec, ":")
	if !found {
		kind, name = c.main.get("default_database_type"), spec
	}
	switch {
	case slices.Contains(indexed, kind):
		t.err = t.readIndexed(c.tree, c.main.path(name))
	case kind == "regexp" || kind == "pcre":
		t.err = t.readPatterns(c.tree, c.main.path(name))
	case kind == "cidr":
		t.err = t.readIndexed(c.tree, c.main.path(name))
	case kind == "static":
		if inner, braces := inBraces(name); braces {
			name = inner
		}
		t.static = &name
	case kind == "inline":
		t.err = t.readInline(name, c.main.file)
	default:
		t.err = fmt.Errorf("a table of type %s is not read: write what it has into a text, and name that as texthash:", kind)
	}
	return t
}

// readIndexed reads what postmap(1) reads. Of two lines for a key the first
// counts, as postmap keeps it.
func (t *table) readIndexed(tree *migrate.Tree, file string) error {
	text, err := tree.Read(file)
	if err != nil {
		return err
	}
	for _, l := range logicalLines(text) {
		key, value := cutKey(l.text)
		t.add(entry{migrate.Lower(key), value, migrate.Where{File: file, Line: l.line}})
	}
	return nil
}

// cutKey takes a key from the value; quotes around a key with blanks go.
func cutKey(line string) (key, value string) {
	if line[0] == '"' {
		if end := strings.IndexByte(line[1:], '"'); end >= 0 {
			return line[1 : 1+end], strings.TrimSpace(line[2+end:])
		}
	}
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return line, ""
	}
	return line[:end], strings.TrimSpace(line[end:])
}

func (t *table) add(e entry) {
	if _, twice := t.index[e.key]; twice {
		return
	}
	t.index[e.key] = len(t.entries)
	t.entries = append(t.entries, e)
}

// readInline reads inline:{ key=value, { key = text with blanks } }.
func (t *table) readInline(text, file string) error {
	inner, found := inBraces(text)
	if !found {
		return fmt.Errorf("inline:%s has no braces", short(text))
	}
	for _, item := range words(inner) {
		if braced, found := inBraces(item); found {
			item = braced
		}
		key, value, found := strings.Cut(item, "=")
		if !found {
			return fmt.Errorf("inline: %q has no value", short(item))
		}
		t.add(entry{migrate.Lower(strings.TrimSpace(key)), strings.TrimSpace(value), migrate.Where{File: file}})
	}
	return nil
}

// errUntold says that a table has the last word which is not read.
type errUntold struct{ table *table }

func (e errUntold) Error() string { return e.table.spec + ": " + e.table.err.Error() }

// lookup asks one table.
func (t *table) lookup(key string) (e entry, found bool, err error) {
	switch {
	case t.err != nil:
		return entry{}, false, errUntold{t}
	case t.static != nil:
		return entry{key: key, value: *t.static}, true, nil
	case t.rules != nil:
		return t.match(key)
	}
	if i, found := t.index[migrate.Lower(key)]; found {
		return t.entries[i], true, nil
	}
	return entry{}, false, nil
}

// maps are the tables that a parameter names, in their order.
func (c *config) maps(parameter string) []*table {
	var all []*table
	for _, spec := range words(c.main.get(parameter)) {
		all = append(all, c.table(spec))
	}
	return all
}

// find asks the tables of a parameter for a key, one after the other. Tables of
// patterns are asked about whole addresses only, not about their parts.
func (c *config) find(parameter, key string, whole bool) (e entry, found bool, err error) {
	for _, t := range c.maps(parameter) {
		if t.rules != nil && !whole {
			continue
		}
		if e, found, err = t.lookup(key); found || err != nil {
			return e, found, err
		}
	}
	return entry{}, false, nil
}
