package aliases

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// maxTargets is the most that a name expands to, maxLists the most :include:
	// lists that are read for it, maxDepth how deep names and lists may lead.
	maxTargets = 100000
	maxLists   = 1000
	maxDepth   = 50
	ownerWord  = "owner-"
)

// Expansion is what is to be done with mail for an alias.
type Expansion struct {
	// Targets are of the kinds Address, Program, Bare and File.
	Targets []Target
	// Owner, if it is not empty, is the sender for what is forwarded.
	Owner string
}

var (
	errLoop     = errors.New("leads back to itself")
	errTooMany  = fmt.Errorf("more than %d targets", maxTargets)
	errListed   = errors.New("a list of addresses has a program or a file")
	errManyList = fmt.Errorf("more than %d lists", maxLists)
	errDeep     = fmt.Errorf("more than %d names or lists one in another", maxDepth)
)

// Expand returns what the alias local says, for a recipient at domain. found is
// false for what is no alias. Lists are read with the rights of this process.
func (t *Tables) Expand(local, domain string) (e Expansion, found bool, err error) {
	tables, err := t.all()
	if err != nil {
		return Expansion{}, false, err
	}
	name := lower(local)
	x := &expander{place: t.place, tables: tables, domain: domain, address: name + "@" + lower(domain), done: map[string]bool{}}
	targets, owner, found, err := lookup(tables, name)
	if err != nil || !found {
		return Expansion{}, false, err
	}
	if owner == "" {
		hasOwner, err := has(tables, ownerWord+name)
		if err != nil {
			return Expansion{}, false, err
		}
		if hasOwner {
			owner = ownerWord + name + "@" + domain
		}
	}
	if err := x.entry(name, targets); err != nil {
		return Expansion{}, false, fmt.Errorf("alias %s: %w", name, err)
	}
	return Expansion{x.targets, owner}, true, nil
}

// Flatten returns what targets say that are in no table: a .forward file. Names
// stay as they are.
func Flatten(targets []Target) ([]Target, error) {
	x := &expander{place: func(name string) string { return name }, done: map[string]bool{}}
	for _, t := range targets {
		if err := x.target(t, ""); err != nil {
			return nil, err
		}
	}
	return x.targets, nil
}

// expander goes through tables and lists.
type expander struct {
	place   func(name string) string
	tables  []table
	domain  string // empty: names stay as they are
	address string // what is expanded

	targets []Target
	done    map[string]bool // names, lists and addresses that were seen
	open    []string        // the names that lead here
	lists   int
	depth   int
}

// entry expands what a name says.
func (x *expander) entry(name string, targets []Target) error {
	if x.depth++; x.depth > maxDepth {
		return errDeep
	}
	x.open = append(x.open, name)
	x.done["="+name] = true
	for _, t := range targets {
		if err := x.target(t, name); err != nil {
			return err
		}
	}
	x.open = x.open[:len(x.open)-1]
	x.depth--
	return nil
}

// target expands one of the targets of a name.
func (x *expander) target(t Target, of string) error {
	switch t.Kind {
	case Name:
		return x.name(t.Text, of)
	case Escaped:
		return x.escaped(t.Text)
	case Address:
		if x.domain != "" && lower(t.Text) == x.address {
			return x.add(Target{Address, `\` + t.Text})
		}
		return x.add(t)
	case Include, Compiled:
		return x.list(t)
	}
	return x.add(t)
}

// name expands a name without a domain. One that names itself is the user of
// that name.
func (x *expander) name(text, of string) error {
	if x.domain == "" {
		return x.add(Target{Name, text})
	}
	name := lower(text)
	if name == of {
		return x.add(Target{Address, `\` + text + "@" + x.domain})
	}
	for _, above := range x.open {
		if above == name {
			return fmt.Errorf("%s %w", name, errLoop)
		}
	}
	if x.done["="+name] {
		return nil
	}
	targets, _, found, err := lookup(x.tables, name)
	if err != nil {
		return err
	}
	if !found {
		return x.add(Target{Address, text + "@" + x.domain})
	}
	return x.entry(name, targets)
}

// escaped is a user, whether there is an alias of that name or not.
func (x *expander) escaped(text string) error {
	if x.domain == "" {
		return x.add(Target{Escaped, text})
	}
	isAlias, err := has(x.tables, text)
	if err != nil {
		return err
	}
	if isAlias {
		text = `\` + text
	}
	return x.add(Target{Address, text + "@" + x.domain})
}

// list expands a list of addresses.
func (x *expander) list(t Target) error {
	if x.done["<"+t.Text] {
		return nil
	}
	x.done["<"+t.Text] = true
	if x.lists++; x.lists > maxLists {
		return errManyList
	}
	if x.depth++; x.depth > maxDepth {
		return errDeep
	}
	text, _, err := readFile(x.place(t.Text), maxList)
	if err != nil {
		return err
	}
	var targets []Target
	if t.Kind == Compiled {
		targets, err = instructions([]byte(text))
	} else {
		targets, err = ParseLines(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.Text, err)
	}
	for _, each := range targets {
		if each.Kind == Program || each.Kind == File || each.Kind == Bare {
			return fmt.Errorf("%s: %w", t.Text, errListed)
		}
		if err := x.target(each, ""); err != nil {
			return err
		}
	}
	x.depth--
	return nil
}

// add takes a target that is to be carried out, once.
func (x *expander) add(t Target) error {
	key := fmt.Sprint(int(t.Kind), " ", t.Text)
	if x.done[key] {
		return nil
	}
	x.done[key] = true
	if len(x.targets) == maxTargets {
		return errTooMany
	}
	if strings.ContainsAny(t.Text, "\n\x00") {
		return errControl
	}
	x.targets = append(x.targets, t)
	return nil
}
