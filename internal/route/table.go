package route

import (
	"errors"

	"postrider/internal/control"
)

// Table is what the control files say.
type Table struct {
	locals      map[string]bool   // domains in lower case
	virtual     map[string]string // virtualdomains; keys in lower case
	percentHack map[string]bool   // domains in lower case
	envNoAtHost string
}

var errNoMe = errors.New("neither control/locals nor control/me says what is local")

// Read reads the control files.
func Read(dir control.Dir) (*Table, error) {
	t := &Table{}
	var err error
	if t.percentHack, err = domains(dir, "percenthack"); err != nil {
		return nil, err
	}
	if t.envNoAtHost, err = dir.LineOrMe("envnoathost", "envnoathost"); err != nil {
		return nil, err
	}
	t, _, err = t.Reread(dir)
	return t, err
}

// Reread returns t with locals and virtualdomains as they are now, the two that
// a signal makes qmail-send read again. failed names the one that the error is
// about.
func (t *Table) Reread(dir control.Dir) (fresh *Table, failed string, err error) {
	next := *t
	if next.locals, err = locals(dir); err != nil {
		return nil, "locals", err
	}
	if next.virtual, _, err = dir.Map("virtualdomains"); err != nil {
		return nil, "virtualdomains", err
	}
	return &next, "", nil
}

// locals is the one list with me as its default (spec section 0.1).
func locals(dir control.Dir) (map[string]bool, error) {
	lines, present, err := dir.List("locals")
	if err != nil || present {
		return setOf(lines), err
	}
	me, err := dir.Line("me", "")
	if err == nil && me == "" {
		err = errNoMe
	}
	return setOf([]string{me}), err
}

func domains(dir control.Dir, name string) (map[string]bool, error) {
	lines, _, err := dir.List(name)
	return setOf(lines), err
}

func setOf(lines []string) map[string]bool {
	set := make(map[string]bool, len(lines))
	for _, line := range lines {
		set[lower(line)] = true
	}
	return set
}
