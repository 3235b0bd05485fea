package inject

import (
	"fmt"
	"path/filepath"

	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/world"
)

// NewAliases is newaliases: it checks the tables of aliases, and makes a database
// of each, by which names are found without reading all of it.
func NewAliases(w world.World) int {
	names, err := aliases.Names(control.Dir(filepath.Join(w.Home, "control")))
	if err != nil {
		say(w.Stderr, "newaliases: fatal: "+shown(err.Error()))
		return exitTemporary
	}
	if len(names) == 0 {
		say(w.Stderr, "newaliases: fatal: there is no alias database to rebuild: name tables such as /etc/aliases in control/aliases, or run the newaliases of fastforward")
		return exitPermanent
	}
	code := exitDone
	for _, name := range names {
		if aliases.IsCompiled(name) {
			say(w.Stdout, name+": made by another program")
			continue
		}
		if !buildAliases(w, name) {
			code = exitTemporary
		}
	}
	return code
}

// buildAliases makes the database of one table and says what is in it, in
// sendmail's words, and what is wrong. A table in which single names are wrong
// has a database: mail for the others goes on.
func buildAliases(w world.World, name string) (sound bool) {
	size, problems := aliases.Check(name)
	sound = true
	for _, p := range problems {
		say(w.Stderr, "newaliases: "+name+": "+shown(p.Text))
		sound = sound && !p.Holds
	}
	if !sound && size == (aliases.Size{}) {
		return false
	}
	if err := aliases.Build(name); err != nil {
		say(w.Stderr, "newaliases: "+shown(err.Error())+": the text is read as it is")
		sound = false
	}
	say(w.Stdout, fmt.Sprintf("%s: %d aliases, longest %d bytes, %d bytes total", name, size.Aliases, size.Longest, size.Bytes))
	return sound
}
