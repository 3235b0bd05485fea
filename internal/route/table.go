package route

import (
	"errors"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// Table is what the control files say.
type Table struct {
	locals      map[string]bool   // by idn.Key
	localFile   string            // the control file of locals
	virtual     map[string]string // virtualdomains, by idn.AddressKey
	percentHack map[string]bool   // by idn.Key
	envNoAtHost string
	srs         Reverser // nil: senders are not rewritten
}

// Reverser knows addresses that stand for others: internal/srs.
type Reverser interface {
	// IsOurs tells whether an address may be one.
	IsOurs(address string) bool
	// Reverse returns what it stands for; an error says that it is none, or not
	// any more.
	Reverse(address string) (string, error)
}

// WithSRS returns t with addresses that r has made leading back to what they
// stand for.
func (t *Table) WithSRS(r Reverser) *Table {
	next := *t
	next.srs = r
	return &next
}

// SRS returns what WithSRS was given, or nil.
func (t *Table) SRS() Reverser { return t.srs }

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
	if next.locals, next.localFile, err = locals(dir); err != nil {
		return nil, "locals", err
	}
	if next.virtual, err = virtual(dir); err != nil {
		return nil, "virtualdomains", err
	}
	return &next, "", nil
}

// virtual reads virtualdomains: addresses, domains and suffixes.
func virtual(dir control.Dir) (map[string]string, error) {
	lines, _, err := dir.Map("virtualdomains")
	if err != nil {
		return nil, err
	}
	keyed := make(map[string]string, len(lines))
	for key, value := range lines {
		keyed[idn.AddressKey(key)] = value
	}
	return keyed, nil
}

// locals is the one list with me as its default (spec section 0.1).
func locals(dir control.Dir) (set map[string]bool, file string, err error) {
	lines, present, err := dir.List("locals")
	if err != nil || present {
		return setOf(lines), "locals", err
	}
	me, err := dir.Line("me", "")
	if err == nil && me == "" {
		err = errNoMe
	}
	return setOf([]string{me}), "me", err
}

func domains(dir control.Dir, name string) (map[string]bool, error) {
	lines, _, err := dir.List(name)
	return setOf(lines), err
}

func setOf(lines []string) map[string]bool {
	set := make(map[string]bool, len(lines))
	for _, line := range lines {
		set[idn.Key(line)] = true
	}
	return set
}
