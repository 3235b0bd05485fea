package ours

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/dotqmail"
	"postrider/internal/migrate"
	"postrider/internal/vpopmail"
)

const (
	// deferringMode are the bits of a home for which qmail-local puts mail off
	// (spec section 4.6), writableMode that of a file.
	deferringMode = 0o002 | unix.S_ISVTX
	writableMode  = 0o002
	forwardMode   = 0o100
)

// delivery is what instructions know of the mail.
type delivery struct {
	local, domain string
	user          accounts.Recipient
	rest          *string // DEFAULT
}

// inHome finds the instructions of a user for an extension, as qmail-local does,
// and says what they do.
func (j *Judge) inHome(user accounts.Recipient, d delivery) (ends, next []string) {
	d.user = user
	var st unix.Stat_t
	tree, name := j.find(user.Home)
	if err := tree.Stat(name, &st); err != nil {
		return []string{migrate.Waits("home directory " + user.Home + ": " + err.Error())}, nil
	}
	if st.Mode&deferringMode != 0 {
		return []string{migrate.Waits("home directory " + user.Home + " is sticky, or everybody can write to it")}, nil
	}
	for candidate := range dotqmail.Candidates(user.Dash, user.Ext, j.resolver.Break) {
		text, mode, err := tree.ReadMode(name + "/" + candidate.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ENAMETOOLONG):
			continue
		case errors.Is(err, fs.ErrPermission):
			return []string{migrate.Untold(err.Error())}, nil
		case err != nil:
			return []string{migrate.Waits(err.Error())}, nil
		case mode&writableMode != 0:
			return []string{migrate.Waits(path.Join(user.Home, candidate.Name) + " can be written by everybody")}, nil
		case text == "":
			return []string{migrate.ToUser(user.User, user.Home)}, nil
		}
		d.rest = candidate.Default
		return j.follow(text, mode, d)
	}
	if user.Dash != "" {
		return []string{migrate.Refused}, nil
	}
	return []string{migrate.ToUser(user.User, user.Home)}, nil
}

// follow says what instructions do.
func (j *Judge) follow(text string, mode uint32, d delivery) (ends, next []string) {
	nothing := true
	for i := range dotqmail.Instructions(text, mode&forwardMode != 0) {
		nothing = false
		switch i.Kind {
		case dotqmail.Forward:
			next = append(next, i.Text)
		case dotqmail.Maildir:
			ends = append(ends, migrate.ToBox(under(d.user.Home, i.Text)+"/"))
		case dotqmail.Mbox:
			ends = append(ends, migrate.ToBox(under(d.user.Home, i.Text)))
		case dotqmail.LMTP:
			ends = append(ends, migrate.ToLMTP(d.substitute(i.Text)))
		case dotqmail.Refusal:
			return append(ends, migrate.Waits(i.Text)), next
		case dotqmail.Program:
			e, n := j.program(i.Text, d)
			ends, next = append(ends, e...), append(next, n...)
		}
	}
	if nothing {
		ends = append(ends, migrate.Discarded)
	}
	return ends, next
}

// under is a path as it is below a home directory.
func under(home, name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join(home, name)
}

func (d delivery) substitute(text string) string {
	rest := ""
	if d.rest != nil {
		rest = *d.rest
	}
	known := map[string]string{
		"LOCAL": d.local, "HOST": d.domain, "EXT": d.user.Ext, "USER": d.user.User, "HOME": d.user.Home,
		"DEFAULT": rest, "RECIPIENT": d.local + "@" + d.domain,
	}
	return os.Expand(text, func(name string) string { return known[name] })
}

// program says what a program line does, if that is known without running it.
func (j *Judge) program(line string, d delivery) (ends, next []string) {
	if t, known := migrate.KnownProgram(j.home, line); known {
		switch {
		case t.Kind == migrate.Refuse:
			return []string{migrate.Refused}, nil
		case d.rest != nil:
			return nil, []string{migrate.RestOf(t, *d.rest)}
		}
	}
	if fallback, understood := j.vpopmail.Parse(line); understood {
		if e, n, known := j.domainOfVpopmail(fallback, d); known {
			return e, n
		}
	}
	return []string{migrate.ToProgram(line)}, nil
}

// domainOfVpopmail is what is done for a line that runs vdelivermail.
func (j *Judge) domainOfVpopmail(fallback vpopmail.Fallback, d delivery) (ends, next []string, known bool) {
	tree, name := j.find(d.user.Home)
	home, err := tree.Open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return []string{migrate.Waits(err.Error())}, nil, true
	}
	defer home.Close()
	user, found, err := j.vpopmail.Find(int(home.Fd()), d.user.Ext)
	switch {
	case errors.Is(err, vpopmail.ErrNoDatabase):
		return nil, nil, false // the program itself knows
	case err != nil:
		return []string{migrate.Waits(err.Error())}, nil, true
	case found && user.Closed:
		return []string{migrate.Refused}, nil, true
	case found:
		ends, next = j.userOfVpopmail(user, d)
		return ends, next, true
	}
	switch fallback.Kind {
	case vpopmail.Delete:
		return []string{migrate.Discarded}, nil, true
	case vpopmail.Forward:
		return nil, []string{fallback.Text}, true
	case vpopmail.Directory:
		return []string{migrate.ToBox(fallback.Text + "/Maildir/")}, nil, true
	}
	return []string{migrate.Refused}, nil, true
}

// userOfVpopmail follows the instructions of a user of a domain.
func (j *Judge) userOfVpopmail(user vpopmail.Account, d delivery) (ends, next []string) {
	d.user.Home = user.Dir
	for name := range user.Files() {
		text, mode, err := j.old.ReadMode(user.Dir + "/" + name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return []string{migrate.Untold(err.Error())}, nil
		case text != "":
			return j.follow(text, mode, d)
		}
		break
	}
	return []string{migrate.ToBox(path.Join(user.Dir, vpopmail.Box) + "/")}, nil
}
