package layout

import (
	"os"
	"path/filepath"
	"strings"

	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/dkimsign"
	"postrider/internal/migrate"
	"postrider/internal/networks"
	"postrider/internal/rcpthosts"
	"postrider/internal/route"
	"postrider/internal/tcprules"
	"postrider/internal/tlspolicy"
	"postrider/internal/vpopmail"
)

// Check reads what is in a directory by the code of the programs that will, and
// returns what that says against it. home is where the directory will be, and
// tree where the tables of aliases are that control/aliases names.
func Check(dir, home string, tree *migrate.Tree) (problems []string) {
	add := func(file string, err error) {
		if err != nil {
			problems = append(problems, file+": "+err.Error())
		}
	}
	files := control.Dir(filepath.Join(dir, "control"))
	_, err := route.Read(files)
	add("locals, virtualdomains, percenthack", err)
	_, err = rcpthosts.Load(files)
	add("rcpthosts", err)
	_, err = tcprules.Load(files)
	add("tcp.smtp", err)
	_, err = tlspolicy.Read(files)
	add("tlspolicy", err)
	_, err = vpopmail.Load(files)
	add("vpopmail", err)
	_, err = dkimsign.Read(files)
	add("dkimsign", err)
	for _, name := range []string{"qmqphosts", "proxyhosts", "xclienthosts"} {
		lines, _, err := files.List(name)
		if err == nil {
			_, err = networks.Parse(lines)
		}
		add(name, err)
	}
	return append(problems, tables(files, dir, home, tree)...)
}

// tables are the problems of tables of aliases.
func tables(files control.Dir, dir, home string, tree *migrate.Tree) (problems []string) {
	names, err := aliases.Names(files)
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range names {
		if aliases.IsCompiled(name) {
			continue
		}
		path := tree.Outside(name)
		if rest, ours := strings.CutPrefix(name, home+"/"); ours {
			if _, err := os.Stat(filepath.Join(dir, rest)); err == nil {
				path = filepath.Join(dir, rest)
			}
		}
		_, all := aliases.Check(path)
		for _, p := range all {
			if p.Holds {
				problems = append(problems, name+": "+p.Text)
			}
		}
	}
	return problems
}
