package aliases

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postrider/internal/control"
)

const (
	// compiledEnd ends the name of a table that is a cdb.
	compiledEnd = ".cdb"
	maxTables   = 16
)

// Tables are those that control/aliases names. Many goroutines may use them.
type Tables struct {
	dir   control.Dir
	names *control.Cached[[]string]
	// place says where a file is that a table names.
	place func(name string) string

	mu     sync.Mutex
	opened []string
	tables []table
}

// table is one of them.
type table interface {
	// lookup returns what a name is an alias of. owner is the sender for what is
	// forwarded, if the table says so itself.
	lookup(name string) (targets []Target, owner string, found bool, err error)
	// has tells whether a name is there, whatever it says.
	has(name string) (bool, error)
	// where is where a name stands that is there.
	where(name string) (path string, line int)
}

// New returns the tables of an installation, which are read when needed.
func New(dir control.Dir) *Tables {
	return NewAt(dir, func(name string) string { return name })
}

// NewAt is New for files that are not where they will be: place says for the
// name of a table or a list where it is now.
func NewAt(dir control.Dir, place func(name string) string) *Tables {
	t := &Tables{dir: dir, place: place}
	t.names = control.NewCached(dir, []string{"aliases"}, func() ([]string, error) { return Names(dir) })
	return t
}

// Names returns the names of the tables.
func Names(dir control.Dir) ([]string, error) {
	var names []string
	_, err := dir.Each("aliases", func(name string) error {
		switch {
		case len(names) == maxTables:
			return fmt.Errorf("more than %d tables", maxTables)
		case !strings.HasPrefix(name, "/"):
			return fmt.Errorf("%q does not begin with a slash", name)
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// IsCompiled tells whether the table of a name is a cdb.
func IsCompiled(name string) bool { return strings.HasSuffix(name, compiledEnd) }

// all returns the tables as the control file has them now.
func (t *Tables) all() ([]table, error) {
	names, _, err := t.names.Get(time.Now())
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(names, t.opened) {
		return t.tables, nil
	}
	tables := make([]table, len(names))
	for i, name := range names {
		if IsCompiled(name) {
			tables[i] = &compiledTable{path: t.place(name)}
		} else {
			tables[i] = &textTable{path: t.place(name)}
		}
	}
	// What was open is closed by the collector with its table.
	t.opened, t.tables = names, tables
	return tables, nil
}

// Look tells whether a local part is an alias. If not, user is what of it is to
// be looked for elsewhere: all, or what follows a backslash, by which an alias
// names the user of its own name.
func (t *Tables) Look(local string) (isAlias bool, user string, err error) {
	tables, err := t.all()
	if err != nil || len(tables) == 0 {
		return false, local, err
	}
	if rest, escaped := strings.CutPrefix(local, `\`); escaped && rest != "" {
		return false, rest, nil
	}
	isAlias, err = has(tables, local)
	return isAlias, local, err
}

// Where returns the table that has an alias, and the line of a text. Nobody decides
// by it: it is for who explains a decision. No table is that it cannot be told.
func (t *Tables) Where(local string) (path string, line int) {
	tables, err := t.all()
	if err != nil {
		return "", 0
	}
	for _, each := range tables {
		if found, err := each.has(local); err != nil {
			return "", 0
		} else if found {
			return each.where(lower(local))
		}
	}
	return "", 0
}

func (c *compiledTable) where(string) (string, int) { return c.path, 0 }

func (t *textTable) where(name string) (string, int) {
	line := 0
	if text, _, err := readFile(t.path, maxTable); err == nil {
		_ = Read(text, func(e Entry) error { // what was found was found
			if line == 0 && e.Name == name {
				line = e.Line
			}
			return nil
		})
	}
	return t.path, line
}

func has(tables []table, name string) (bool, error) {
	for _, each := range tables {
		if found, err := each.has(name); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func lookup(tables []table, name string) (targets []Target, owner string, found bool, err error) {
	for _, each := range tables {
		targets, owner, found, err = each.lookup(name)
		if found || err != nil {
			return targets, owner, found, err
		}
	}
	return nil, "", false, nil
}

func (t *textTable) lookup(name string) (targets []Target, owner string, found bool, err error) {
	list, found, err := t.find(name)
	if err != nil || !found {
		return nil, "", false, err
	}
	if targets, err = Parse(list); err != nil {
		return nil, "", false, fmt.Errorf("%s: %s: %w", t.path, name, err)
	}
	return targets, "", true, nil
}

func (t *textTable) has(name string) (bool, error) {
	_, found, err := t.find(name)
	return found, err
}

func (c *compiledTable) lookup(name string) (targets []Target, owner string, found bool, err error) {
	return c.find(name)
}
