package ours

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/migrate"
	"postrider/internal/rcpthosts"
	"postrider/internal/route"
	"postrider/internal/vpopmail"
)

// standIn is the uid of the user alias where there is none yet: qmail-setup makes
// it.
const standIn = 1<<32 - 3

// Judge is the suite with a configuration.
type Judge struct {
	old    *migrate.Tree // the machine, or the copy of one
	new    *migrate.Tree // the directory that was written
	home   string        // where that will be
	routes *route.Table
	hosts  *rcpthosts.Hosts
	relays relays

	resolver accounts.Resolver
	tables   *aliases.Tables
	vpopmail vpopmail.Settings
}

// New returns the judge for the configuration in dir, which will be home on the
// machine whose files are in tree.
func New(tree *migrate.Tree, dir, home string) (*Judge, error) {
	written, err := migrate.OpenTree(dir)
	if err != nil {
		return nil, err
	}
	j := &Judge{old: tree, new: written, home: home}
	if err := j.load(control.Dir(filepath.Join(dir, "control")), filepath.Join(dir, "users/cdb")); err != nil {
		written.Close()
		return nil, err
	}
	return j, nil
}

// Close forgets the directory.
func (j *Judge) Close() error { return j.new.Close() }

func (j *Judge) load(dir control.Dir, usersDB string) (err error) {
	if j.routes, err = route.Read(dir); err != nil {
		return err
	}
	if j.hosts, err = rcpthosts.Load(dir); err != nil {
		return err
	}
	if j.relays, err = loadRelays(dir); err != nil {
		return err
	}
	if j.vpopmail, err = vpopmail.Load(dir); err != nil {
		return err
	}
	breaks, err := accounts.Break(dir)
	if err != nil {
		return err
	}
	minimum, err := dir.Int("localuidmin", 11)
	if err != nil {
		return err
	}
	j.tables = aliases.NewAt(dir, j.place)
	passwd := accounts.NewPasswd(j.old.Outside(accounts.PasswdFile))
	passwd.Ask = j.madeBySetup
	j.resolver = accounts.Resolver{
		UsersDB: accounts.NewUsersDB(usersDB), Passwd: passwd, Alias: accounts.AliasUser,
		Break: breaks, Aliases: j.tables.Look, MinimumUID: uint32(max(minimum, 0)), Stat: j.stat,
	}
	return nil
}

// madeBySetup is the account alias of a machine that has not had one.
func (j *Judge) madeBySetup(name string) (accounts.Account, error) {
	if name != accounts.AliasUser {
		return accounts.Account{}, accounts.ErrUnknown
	}
	return accounts.Account{Name: name, UID: standIn, GID: standIn, Home: j.home + "/alias"}, nil
}

// stat looks at a home directory.
func (j *Judge) stat(path string, st *unix.Stat_t) error {
	if path == j.home+"/alias" { // whoever wrote it, qmail-setup makes it that user's
		account, err := j.resolver.Passwd.Lookup(accounts.AliasUser)
		*st = unix.Stat_t{Mode: unix.S_IFDIR | 0o755, Uid: account.UID}
		return err
	}
	tree, name := j.find(path)
	return tree.Stat(name, st)
}

// find returns where a file of the machine is now.
func (j *Judge) find(path string) (tree *migrate.Tree, name string) {
	var st unix.Stat_t
	rest, ours := strings.CutPrefix(filepath.Clean(path), j.home+"/")
	if ours && j.new.Stat(rest, &st) == nil {
		return j.new, rest
	}
	return j.old, path
}

// place is find for who wants the name of a file, with no links in it.
func (j *Judge) place(path string) string {
	tree, name := j.find(path)
	return tree.Real(name)
}

// Decide says what becomes of mail for an address.
func (j *Judge) Decide(text string) migrate.Outcome {
	a, err := address.New(text)
	if err != nil {
		return migrate.Outcome{Ends: []string{migrate.Refused}}
	}
	taken, err := j.hosts.Takes(a)
	if err != nil {
		return migrate.Outcome{Ends: []string{migrate.Waits(err.Error())}}
	}
	return migrate.Outcome{Taken: taken, Ends: migrate.Expand(text, j.step)}
}

// step goes from one recipient to what its instructions say.
func (j *Judge) step(recipient string) (ends, next []string) {
	if _, err := address.New(recipient); err != nil {
		return []string{migrate.Refused}, nil
	}
	channel, rewritten := j.routes.Of(recipient)
	if channel == route.Remote {
		return []string{migrate.ToHost(rewritten, j.relays.via(route.DomainOf(rewritten)))}, nil
	}
	local, domain := migrate.Split(rewritten)
	if local == "" {
		return []string{migrate.Discarded}, nil
	}
	isAlias, _, err := j.tables.Look(local)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	if isAlias {
		return j.alias(local, domain)
	}
	user, err := j.resolver.Resolve(local)
	switch {
	case err != nil:
		return []string{migrate.Waits(err.Error())}, nil
	case user.UID == 0:
		return []string{migrate.Waits("mail is not delivered as root")}, nil
	}
	return j.inHome(user, delivery{local: local, domain: domain})
}

// alias is what a table of aliases says.
func (j *Judge) alias(local, domain string) (ends, next []string) {
	e, _, err := j.tables.Expand(local, domain)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil
	}
	for _, t := range e.Targets {
		switch t.Kind {
		case aliases.Address:
			next = append(next, t.Text)
		case aliases.File:
			ends = append(ends, migrate.ToBox(t.Text))
		default:
			ends = append(ends, migrate.ToProgram(t.Text))
		}
	}
	if len(e.Targets) == 0 {
		ends = append(ends, migrate.Discarded)
	}
	return ends, next
}
