package queuecheck

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// belowQ begins the paths of the queue in the tree of an installation.
const belowQ = "queue/"

// made returns what qmail-setup makes, by paths below the queue, which is "".
func made() (paths []string, rows map[string]priv.Entry) {
	rows = make(map[string]priv.Entry)
	for _, e := range priv.Tree() {
		path, ours := strings.CutPrefix(e.Path+"/", belowQ)
		if ours {
			path = strings.TrimSuffix(path, "/")
			paths, rows[path] = append(paths, path), e
		}
	}
	return paths, rows
}

// tree looks at what qmail-setup makes.
func (c *check) tree() error {
	var paths []string
	paths, c.made = made()
	for _, path := range paths {
		if err := c.look(place{fixed, "", path}); err != nil {
			return err
		}
	}
	return nil
}

// isMade reports whether qmail-setup makes a path.
func (c *check) isMade(path string) bool {
	_, yes := c.made[path]
	return yes
}

// fixedName is a directory or a file that is always there.
func (c *check) fixedName(p place, st *unix.Stat_t) []Finding {
	e := c.made[p.name]
	want := rights{user: e.User, group: e.Group, mode: e.Mode, shared: e.Shared != 0}
	if st == nil {
		f := hands(p.name, Missing, "is missing", "what would be there waits, or is refused for now", "run qmail-setup, or put it back from a backup").
			with(remedy{make: &e, rights: &want})
		// qmail-spool makes these at its start.
		if strings.HasPrefix(p.name, "new/") || p.name == "lock/spool" {
			f.Level, f.Becomes = Own, "qmail-spool makes it at its start, empty"
		}
		return []Finding{f}
	}
	if p.name == "" { // where a link is the administrator's
		if unix.Stat(c.Layout.Root, st) != nil || !isDir(st) {
			return nil // Run has looked
		}
	}
	if e.File && !isRegular(st) || !e.File && !isDir(st) {
		return []Finding{hands(p.name, WrongType, "is "+typeOf(st), "nothing that belongs there is found or written", queuedir.DirAdvice)}
	}
	if e.File && st.Nlink != 1 {
		return []Finding{hands(p.name, WrongType, "has a second name", "it stays", "copy it to a file of its own, and run qmail-setup")}
	}
	return c.rightsFound(p.name, st, want)
}

// Names beside ours in the queue directory: those of qmail's own queue, which may
// be in the same place, of a file system, and of an import of qmail's queue.
var (
	classicDirs = []string{"mess", "intd", "todo", "pid", "local", "remote", "bounce"}
	others      = []string{"lost+found", "postrider-import"}
)

// topName is a name in the queue directory.
func (c *check) topName(p place, st *unix.Stat_t) []Finding {
	switch {
	case c.full(p.name) == c.Layout.Socket(), c.full(p.name) == c.Layout.Manage():
		if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return []Finding{hands(p.name, WrongType, "is "+typeOf(st), "qmail-start cannot listen there", "move it away, and start the suite again")}
		}
		return nil
	case c.isMade(p.name), slices.Contains(others, p.name), c.classic && slices.Contains(classicDirs, p.name):
		return nil
	}
	return []Finding{unknown(p.name)}
}

// lockName is a name in lock/.
func (c *check) lockName(p place) []Finding {
	if c.isMade(p.path()) || c.classic && p.name == "trigger" {
		return nil
	}
	return []Finding{unknown(p.path())}
}

// bucketName is a name in new/ or info/, where directories are.
func (c *check) bucketName(p place) []Finding {
	if c.isMade(p.path()) || p.area == inInfo && c.isClassic(p.name) {
		return nil
	}
	return []Finding{unknown(p.path())}
}

// isClassic reports whether a name in info/ may be of qmail's own queue: the
// number of a directory or of an inode.
func (c *check) isClassic(name string) bool {
	if !c.classic || len(name) >= len(queuedir.ID{}) {
		return false
	}
	return strings.Trim(name, "0123456789") == ""
}
