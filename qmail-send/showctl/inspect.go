package showctl

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/settings"
	"postrider/internal/world"
)

// Parts is what the programs themselves say of what they read. Functions take the
// qmail home directory unless something else is said.
type Parts struct {
	Programs []Program
	// Readers read one control file each as its program does, by its name.
	Readers map[string]func(control.Dir) error
	// Assign compares users/assign with users/cdb in the directory users.
	Assign func(users string) error
	// MoreRcptHosts compares control/morercpthosts with its database.
	MoreRcptHosts func(home string) error
	// Certificates reads a file with a key of TLS, and DKIMKey one of DKIM.
	Certificates func(path string) ([]*x509.Certificate, error)
	DKIMKey      func(path string) (public []byte, err error)
	// Room says what the queue's disk is short of, and what it has.
	Room func(home string) (short, has string, err error)
	// Listens returns addresses by the control file that names them.
	Listens func(home string) map[string][]string
	// RelayHost returns the name of the host that a route leads to, if any.
	RelayHost func(route string) string
}

// Program reads all its settings at once.
type Program struct {
	Name    string
	Examine func(home string) (warnings []string, err error)
	// Otherwise is what happens while it cannot.
	Otherwise string
	// Wanted is the control file without which the program does not run; empty if
	// it always does.
	Wanted string
}

// inspector looks at an installation.
type inspector struct {
	findings
	world  world.World
	parts  Parts
	home   string
	dir    control.Dir
	in     priv.Installation
	asked  bool // name servers may be
	root   bool
	now    time.Time
	absent []string // what does not work, and what then happens
	facts  []string // what is well, and worth a line
}

func newInspector(w world.World, parts Parts, dns bool) *inspector {
	return &inspector{
		world: w, parts: parts, home: w.Home, dir: control.Dir(filepath.Join(w.Home, "control")),
		asked: dns, root: os.Geteuid() == 0, now: w.Clock.Now(),
	}
}

// all looks at everything.
func (i *inspector) all() {
	in, err := priv.Examine(i.home)
	if err != nil {
		i.add(Finding{Error, i.home, 0, reason(err), "Run make install and make setup, or give the directory the qmail home had when it was built."})
		return
	}
	i.in = in
	if _, err := os.ReadDir(string(i.dir)); err != nil {
		i.unreadable(string(i.dir), err)
		return
	}
	for _, s := range settings.All() {
		i.setting(s)
	}
	i.strangers()
	i.routing()
	i.rules()
	i.tables()
	i.keys()
	i.programs()
	i.access()
	i.ports()
	i.queue()
	i.hosts()
}

// some looks at what some settings say.
func (i *inspector) some(names []string) {
	if in, err := priv.Examine(i.home); err == nil {
		i.in = in
	}
	for _, name := range names {
		s, _ := settings.Named(name)
		i.setting(s)
		i.readable(s)
	}
	i.routing()
	i.rules()
	i.tables()
	i.programs()
	var about []Finding
	for _, name := range names {
		about = append(about, i.about(i.path(name))...)
	}
	i.list = about
}

func (i *inspector) path(name string) string { return string(i.dir) + "/" + name }

func (i *inspector) errorIn(name string, line int, what, mend string) {
	i.add(Finding{Error, i.path(name), line, what, mend})
}

func (i *inspector) warn(name string, line int, what, mend string) {
	i.add(Finding{Warning, i.path(name), line, what, mend})
}

// unreadable tells of a file that cannot be read, by the rights of who asks or at
// all.
func (i *inspector) unreadable(path string, err error) {
	if errors.Is(err, fs.ErrPermission) && !i.root {
		i.add(Finding{Level: Unread, File: path, What: "you may not read it", Mend: "Ask as root."})
		return
	}
	mend := "Mend or remove it."
	switch info, statErr := os.Lstat(path); {
	case statErr != nil:
	case info.Mode()&fs.ModeSymlink != 0:
		mend = "Where the link leads there is nothing that can be read: mend the link, or remove it."
	case info.IsDir():
		mend = "A directory is there in place of a file: move it away."
	case !info.Mode().IsRegular():
		mend = "It is no file: remove it."
	}
	i.add(Finding{Error, path, 0, reason(err), mend})
}

// reason is an error without the path, which stands in front of it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return "unable to " + p.Op + " it: " + p.Err.Error()
	}
	return err.Error()
}

// inControl finds the file that an error begins with. What follows a colon is all
// that needs to be told.
var inControl = regexp.MustCompile(`^(/\S*/)?control/([a-z0-9.]+)(: )?`)

// blame tells an error of a reader: by its lines, by its file, or by what it says.
func (i *inspector) blame(err error, name, mend string) {
	var faults control.Faults
	var path *fs.PathError
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			i.add(Finding{Error, f.Path, f.Line, f.Problem, i.orForm(mend, f.Path)})
		}
	case errors.As(err, &path):
		i.unreadable(path.Path, err)
	default:
		text := err.Error()
		if m := inControl.FindStringSubmatch(text); m != nil {
			name, text = m[2], withoutFile(m, text)
		}
		f := Finding{Level: Error, What: text, Mend: mend}
		if name != "" {
			f.File = i.path(name)
			f.Mend = i.orForm(mend, f.File)
		}
		i.add(f)
	}
}

// withoutFile takes the file from the beginning of a text, where it stands in front
// already.
func withoutFile(m []string, text string) string {
	switch {
	case m[3] != "":
		return text[len(m[0]):]
	case m[1] != "":
		return "it" + text[len(m[0]):]
	}
	return text
}

// orForm returns mend, or else the form that a control file has to have.
func (i *inspector) orForm(mend, path string) string {
	s, known := settings.Named(strings.TrimPrefix(path, string(i.dir)+"/"))
	if mend != "" || !known {
		return mend
	}
	return mendForm(s)
}

// Join makes one of the readers of several programs.
func Join(all ...map[string]func(control.Dir) error) map[string]func(control.Dir) error {
	joined := make(map[string]func(control.Dir) error)
	for _, each := range all {
		maps.Copy(joined, each)
	}
	return joined
}
