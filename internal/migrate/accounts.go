package migrate

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
)

// Account is one of the machine's.
type Account struct {
	Name     string
	UID, GID uint32
	Home     string
}

// Accounts are those of the machine's passwd by name.
func Accounts(tree *Tree) (map[string]Account, error) {
	text, err := tree.Read(accounts.PasswdFile)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Account)
	for line := range strings.Lines(text) {
		a, ok := accounts.ParsePasswd(strings.TrimSuffix(line, "\n"))
		if _, twice := all[a.Name]; ok && !twice {
			all[a.Name] = Account{a.Name, a.UID, a.GID, a.Home}
		}
	}
	return all, nil
}

const (
	firstPerson = 1000
	lastPerson  = 60000
)

// People are the accounts that are for people, by the ids that Linux gives them,
// and that get mail here: each has a home of its own. The others are a remark.
func (s *Site) People(tree *Tree, all map[string]Account) []Account {
	var people []Account
	var others []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		var st unix.Stat_t
		hasHome := tree.Stat(a.Home, &st) == nil && st.Uid == a.UID && a.UID != 0
		switch {
		case a.UID >= firstPerson && a.UID <= lastPerson && hasHome:
			people = append(people, a)
		case !hasHome:
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		s.Remark(Decided, Where{File: accounts.PasswdFile}, strings.Join(others, " "), "no mail is delivered to root, nor to an account whose home directory is not its own: where they get any, it is by an alias")
	}
	return people
}
