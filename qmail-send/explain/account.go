package explain

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/wire/steps"
)

// account finds whose mail a local part is, as qmail-lspawn does, and says why.
// known is false if the section has ended.
func (e *explainer) account(s *section, local string, d entrance) (r accounts.Recipient, isAlias, known bool) {
	isAlias, rest, err := e.aliases.Look(local)
	if err != nil {
		return e.noAccount(s, d, fmt.Errorf("%w: %w", accounts.ErrAliases, err))
	}
	if isAlias {
		table, line := e.aliases.Where(local)
		s.say("account", local+" is an alias: the mail is the user alias's", steps.Place{File: table, Line: line})
		withAliases := e.resolver
		withAliases.Aliases = e.aliases.Look
		if r, err = withAliases.Assigned(local); err != nil {
			return e.noAccount(s, d, err)
		}
		return r, true, true
	}
	if rest != local {
		s.say("account", "the backslash passes over aliases: it is "+rest, steps.Place{})
	}
	r, assignment, err := e.resolver.UsersDB.Find(rest)
	switch {
	case err == nil:
		s.say("account", "users/assign gives it to the user "+userWords(r), e.assignPlace(assignment))
	case errors.Is(err, accounts.ErrUnknown):
		if r, err = e.resolver.ByPasswd(rest); err != nil {
			return e.noAccount(s, d, err)
		}
		e.sayPasswd(s, r)
	default:
		return e.noAccount(s, d, err)
	}
	if e.nobody(r) {
		s.say("account", fmt.Sprintf("no mail is delivered as uid %d and gid %d", r.UID, r.GID), steps.Place{})
		text := "Not allowed to perform deliveries as this user. (#4.3.5)" // in qmail-lspawn's words
		if r.UID == 0 {
			text = "Not allowed to perform deliveries as root."
		}
		e.wait(s, d, text)
		return r, false, false
	}
	return r, false, true
}

func (e *explainer) nobody(r accounts.Recipient) bool {
	if e.in.Private {
		return r.UID != e.in.UID
	}
	return e.nobodies.Has(r.UID, r.GID)
}

func userWords(r accounts.Recipient) string {
	words := r.User + ", with the home " + r.Home
	if r.Dash != "" || r.Ext != "" {
		words += " and the extension " + strconv.Quote(r.Ext)
	}
	return words
}

func (e *explainer) sayPasswd(s *section, r accounts.Recipient) {
	if r.User == e.resolver.Alias && r.Dash == "-" || e.in.Private {
		s.say("account", "no user has it, so it is the user "+userWords(r), passwdPlace(r.User))
		return
	}
	s.say("account", "it is the user "+userWords(r), passwdPlace(r.User))
}

// passwdPlace is where an account stands. One of another source is nowhere.
func passwdPlace(name string) steps.Place {
	line := lineOf(accounts.PasswdFile, func(line string) bool { return strings.HasPrefix(line, name+":") })
	if line == 0 {
		return steps.Place{}
	}
	return steps.Place{File: accounts.PasswdFile, Line: line}
}

// assignPlace is where an assignment stands: in users/assign, of which users/cdb
// was made, if it still is there.
func (e *explainer) assignPlace(assignment string) steps.Place {
	dir := filepath.Join(e.world.Home, "users")
	line := lineOf(filepath.Join(dir, "assign"), func(line string) bool {
		key, _, found := strings.Cut(line, ":")
		return found && strings.EqualFold(key, assignment)
	})
	if line == 0 {
		return steps.Place{File: filepath.Join(dir, "cdb")}
	}
	return steps.Place{File: filepath.Join(dir, "assign"), Line: line}
}

// lineOf is the number of the first line that matches; 0 is none, or that the file
// cannot be read.
func lineOf(path string, matches func(string) bool) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close() // was only read
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		if matches(lines.Text()) {
			return number
		}
	}
	return 0
}

// noAccount ends a section whose account cannot be found.
func (e *explainer) noAccount(s *section, d entrance, err error) (accounts.Recipient, bool, bool) {
	s.say("account", err.Error(), steps.Place{})
	e.wait(s, d, "Whose mail it is cannot be found out now.")
	return accounts.Recipient{}, false, false
}

// wait ends a section as trouble does: at the door, if qmail-lookup is asked there.
func (e *explainer) wait(s *section, d entrance, text string) {
	if d.verified() {
		s.end(PutOff, d.replies["unsure"])
		return
	}
	s.end(Deferred, text)
}
