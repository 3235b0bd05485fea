package layout

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/cdb"
	"postrider/internal/migrate"
)

const (
	dirMode    = 0o755
	fileMode   = 0o644
	secretMode = 0o600
	// namesFile is the table of what leads elsewhere in every local domain.
	namesFile = "users/names.aliases"
)

// ErrPlace says that a directory is none to write into.
var ErrPlace = errors.New("write into a new or an empty directory outside of the home directory; it is moved into place afterwards")

// writer has what is to be written.
type writer struct {
	site   *migrate.Site
	home   string
	assign []string // lines of users/assign
	dirs   []string // that are to be there, by their names below the directory
}

// Write writes a site as the directory dir, for a suite whose home directory is
// home. The site gets remarks about what cannot be written. After an error dir is
// as it was.
func Write(site *migrate.Site, dir, home string) error {
	dir, err := place(dir, home)
	if err != nil {
		return err
	}
	w := &writer{site: site, home: home, dirs: []string{"control", "alias", "users"}}
	w.domains()
	w.names()
	if err := w.users(); err != nil {
		return err
	}
	for name, lines := range site.Control {
		w.control(name, lines)
	}
	return w.writeAs(dir)
}

// place refuses what is no new directory. It returns where that is.
func place(dir, home string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir == home || strings.HasPrefix(dir, home+"/") {
		return "", fmt.Errorf("%s: %w", dir, ErrPlace)
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil && (real == home || strings.HasPrefix(real, home+"/")) {
		return "", fmt.Errorf("%s: %w", dir, ErrPlace)
	}
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return dir, nil
	case err != nil:
		return "", err
	case len(names) > 0:
		return "", fmt.Errorf("%s: %w", dir, ErrPlace)
	}
	return filepath.EvalSymlinks(dir) // a link to it would be in the way
}

// writeAs writes it all beside dir, where nobody else looks, and puts it into its
// place whole.
func (w *writer) writeAs(dir string) (err error) {
	beside, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(beside)) }()
	made := filepath.Join(beside, "new")
	if err := os.Mkdir(made, dirMode); err != nil {
		return err
	}
	if err := w.write(made); err != nil {
		return fmt.Errorf("nothing is in %s: %w", dir, err)
	}
	// Not os.Rename, which refuses any directory that is there.
	if err := unix.Rename(made, dir); err != nil {
		return &os.LinkError{Op: "rename", Old: made, New: dir, Err: err}
	}
	return syncAll(dir)
}

// put adds a file.
func (w *writer) put(name, text string) {
	w.site.Files[name] = migrate.File{Text: text, Mode: fileMode}
}

// control adds a control file. A line that would be another one is left out.
func (w *writer) control(name string, lines []string) {
	var b strings.Builder
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\x00") {
			w.site.Remark(migrate.Lost, migrate.Where{}, "control/"+name, "a line has a byte that no control file can have: %q", line)
			continue
		}
		b.WriteString(line + "\n")
	}
	mode := uint32(fileMode)
	if w.site.Secret[name] {
		mode = secretMode
	}
	w.site.Files["control/"+name] = migrate.File{Text: b.String(), Mode: mode}
}

// names writes the table of names.
func (w *writer) names() {
	if len(w.site.Names) == 0 {
		return
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.site.Names)) {
		var list []string
		for _, t := range w.site.Names[name] {
			switch t.Kind {
			case migrate.Forward, migrate.Box:
				list = append(list, t.Text)
			case migrate.Run:
				list = append(list, `"|`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t.Text)+`"`)
			default:
				w.site.Remark(migrate.Lost, migrate.Where{}, name, "a table of aliases cannot say this")
			}
		}
		if strings.ContainsAny(name, "\"\n\x00@") || len(list) == 0 {
			w.site.Remark(migrate.Lost, migrate.Where{}, name, "a table of aliases cannot have this name, or leads it nowhere")
			continue
		}
		fmt.Fprintf(&b, "\"%s\": %s\n", name, strings.Join(list, ", "))
	}
	w.put(namesFile, b.String())
	w.site.Control["aliases"] = slices.Insert(w.site.Control["aliases"], 0, w.home+"/"+namesFile)
}

// users adds users/assign and the database of it.
func (w *writer) users() error {
	assign, there := w.site.Files["users/assign"]
	if len(w.assign) > 0 {
		text, _, _ := strings.Cut("\n"+assign.Text, "\n.")
		text = strings.TrimPrefix(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		w.put("users/assign", text+strings.Join(w.assign, "\n")+"\n.\n")
	} else if !there {
		return nil
	}
	text := w.site.Files["users/assign"].Text
	err := accounts.CompileAssign(strings.NewReader(text), func(accounts.Record) error { return nil })
	if err != nil {
		w.site.Remark(migrate.Lost, assign.From, "users/assign", "%v: without it users/cdb is not made", err)
	}
	return nil
}

// write writes it all, and makes it durable.
func (w *writer) write(dir string) error {
	for _, name := range w.dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), dirMode); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.site.Files)) {
		file := w.site.Files[name]
		if !filepath.IsLocal(name) {
			w.site.Remark(migrate.Lost, file.From, name, "this name leads out of the directory")
			continue
		}
		if err := writeFile(filepath.Join(dir, name), file); err != nil {
			return err
		}
	}
	if err := compile(dir); err != nil {
		return err
	}
	return syncAll(dir)
}

func writeFile(path string, file migrate.File) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(file.Text)
	if err == nil {
		err = f.Chmod(os.FileMode(file.Mode & 0o777))
	}
	return errors.Join(err, f.Close())
}

// compile makes users/cdb, if there is a users/assign that can be obeyed.
func compile(dir string) error {
	assign, err := os.Open(filepath.Join(dir, "users/assign"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer assign.Close() // was only read
	path := filepath.Join(dir, "users/cdb")
	var bad error
	err = cdb.Replace(path, path+".tmp", fileMode, func(db *cdb.Writer) error {
		bad = accounts.CompileAssign(assign, func(r accounts.Record) error { return db.Add(r.Key, r.Data) })
		return bad
	})
	if bad != nil {
		return nil // it is a remark already
	}
	return err
}

// syncAll makes the file system with a directory durable.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("unable to make %s durable: %w", dir, err)
	}
	return nil
}
