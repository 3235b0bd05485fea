package inject

import (
	"fmt"
	"path/filepath"

	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/world"
)

// NewAliases is newaliases: it checks the tables of aliases, which are read when
// mail comes, so that there is no database to rebuild.
func NewAliases(w world.World) int {
	names, err := aliases.Names(control.Dir(filepath.Join(w.Home, "control")))
	if err != nil {
		say(w.Stderr, "newaliases: fatal: "+shown(err.Error()))
		return exitTemporary
	}
	if len(names) == 0 {
		say(w.Stderr, "newaliases: fatal: there is no alias database to rebuild; name tables such as /etc/aliases in control/aliases, or run the newaliases of fastforward")
		return exitPermanent
	}
	code := exitDone
	for _, name := range names {
		if aliases.IsCompiled(name) {
			say(w.Stdout, name+": made by another program")
			continue
		}
		n, problems := aliases.Check(name)
		for _, p := range problems {
			say(w.Stderr, "newaliases: "+name+": "+shown(p.Text))
			if p.Holds {
				code = exitTemporary
			}
		}
		say(w.Stdout, fmt.Sprintf("%s: %d aliases", name, n))
	}
	return code
}
