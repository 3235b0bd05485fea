package showctl

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/aliases"
	"postrider/internal/checkpassword"
	"postrider/internal/control"
)

// tables looks at what is compiled of texts, and at what the texts say.
func (i *inspector) tables() {
	users := i.home + "/users"
	if !i.plainFiles(users+"/assign", users+"/cdb", i.path("morercpthosts"), i.path("morercpthosts.cdb")) {
		return
	}
	if err := i.parts.Assign(users); err != nil {
		i.assign(users, err)
	}
	// A database that is cut knows nobody: what qmail-lspawn says of it counts.
	if _, err := accounts.NewUsersDB(users + "/cdb").Lookup("postmaster"); err != nil && !errors.Is(err, accounts.ErrUnknown) {
		i.trouble(users+"/cdb", err, "Make it again: qmail-newu. Until then no mail is delivered to anybody on this host.")
	}
	if err := i.parts.MoreRcptHosts(i.home); err != nil {
		i.trouble(i.path("morercpthosts.cdb"), err, "Make it again: qmail-newmrh.")
	}
	names, err := aliases.Names(i.dir)
	if err != nil {
		return // its reader says so
	}
	for _, name := range names {
		i.aliasTable(name)
	}
	i.passwordProgram()
}

// plainFiles tells of what is there and no file. Reading it might wait for ever.
func (i *inspector) plainFiles(paths ...string) (all bool) {
	all = true
	for _, path := range paths {
		if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
			i.add(Finding{Error, path, 0, "it is no plain file", "Move it away, and make the file again."})
			all = false
		}
	}
	return all
}

// assign tells what is wrong with users/assign, or that the database is old.
func (i *inspector) assign(users string, err error) {
	var faults control.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			i.add(Finding{Error, f.Path, f.Line, f.Problem + ": qmail-newu refuses the file",
				"A line is =user:user:uid:gid:home::: or +prefix:user:uid:gid:home:-::, and the last one a dot."})
		}
		return
	}
	i.trouble(users+"/cdb", err, "Run qmail-newu.")
}

// trouble tells an error about a file that has its own name in it or not.
func (i *inspector) trouble(path string, err error, mend string) {
	if errors.Is(err, os.ErrPermission) && !i.root {
		i.add(Finding{Level: Unread, File: path, What: "you may not read it", Mend: "Ask as root."})
		return
	}
	i.add(Finding{Error, path, 0, reason(err), mend})
}

var lineOf = regexp.MustCompile(`^line (\d+): `)

// aliasTable says what newaliases would, and whether its database is old.
func (i *inspector) aliasTable(name string) {
	if aliases.IsCompiled(name) {
		if _, err := os.Stat(name); err != nil {
			i.trouble(name, err, "control/aliases names it: make it, or take the line out. Until then no local mail is delivered.")
		}
		return
	}
	_, problems := aliases.Check(name)
	for _, p := range problems {
		f := Finding{Level: Warning, File: name, What: strings.TrimPrefix(p.Text, name+": "), Mend: "Mend the line; aliases(5) has the form."}
		if p.Holds {
			f.Level = Error
			f.Mend += " Mail for it waits."
		}
		if m := lineOf.FindStringSubmatch(f.What); m != nil {
			f.Line, _ = strconv.Atoi(m[1])
			f.What = f.What[len(m[0]):]
		}
		i.add(f)
	}
	built := aliases.BuiltName(name)
	if _, err := os.Stat(built); err == nil && len(problems) == 0 && !aliases.IsBuilt(name) {
		i.add(Finding{Warning, built, 0, "it was not made of the table as it is now: it does not count, the text does", "Run newaliases, which makes large tables fast."})
	}
}

// passwordProgram checks that of control/checkpassword.
func (i *inspector) passwordProgram() {
	line, err := i.dir.Line("checkpassword", "")
	if err != nil || line == "" {
		return
	}
	argv, err := checkpassword.Parse(line)
	if err != nil {
		i.errorIn("checkpassword", 1, "it "+err.Error(), mendForm(named("checkpassword")))
		return
	}
	i.program("checkpassword", 1, argv[0], "nobody can log in")
}
