package showctl

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"postrider/internal/accounts"
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/dkimsign"
	"postrider/internal/limits"
	"postrider/internal/priv"
	"postrider/internal/settings"
	"postrider/internal/tcprules"
	"postrider/internal/tlspolicy"
	"postrider/internal/tlsrpt"
	"postrider/internal/vpopmail"
)

// reader returns the reader of a control file that has a form.
func (i *inspector) reader(name string) func(control.Dir) error {
	if read := i.parts.Readers[name]; read != nil {
		return read
	}
	switch name {
	case "aliases":
		return func(dir control.Dir) error { _, err := aliases.Names(dir); return err }
	case "break":
		return func(dir control.Dir) error { _, err := accounts.Break(dir); return err }
	case "dkimsign":
		return func(dir control.Dir) error { _, err := dkimsign.Read(dir); return err }
	case "programmemory":
		return func(dir control.Dir) error { _, err := limits.Load(dir); return err }
	case "sandbox":
		return func(control.Dir) error { _, err := priv.Installation{Home: i.home}.Policy(); return err }
	case "tcp.smtp":
		return func(dir control.Dir) error { _, err := tcprules.Load(dir); return err }
	case tlspolicy.File:
		return func(dir control.Dir) error { _, err := tlspolicy.Read(dir); return err }
	case tlsrpt.File:
		return func(dir control.Dir) error { _, _, err := tlsrpt.Read(dir); return err }
	case "vpopmail":
		return func(dir control.Dir) error { _, err := vpopmail.Load(dir); return err }
	}
	return nil
}

// programs asks each program whether it can work with its settings.
func (i *inspector) programs() {
	for _, p := range i.parts.Programs {
		if p.Wanted != "" && !i.exists(p.Wanted) {
			continue
		}
		warnings, err := p.Examine(i.home)
		for _, w := range warnings {
			i.fromProgram(w)
		}
		if err == nil {
			continue
		}
		if errors.Is(err, fs.ErrPermission) && !i.root {
			var path *fs.PathError
			if errors.As(err, &path) {
				i.unreadable(path.Path, err)
			}
			continue
		}
		i.byProgram(err)
		i.absent = append(i.absent, p.Name+": "+p.Otherwise)
	}
}

// byProgram tells an error of a program, but not of a file of which something is
// said already: that is the same in other words.
func (i *inspector) byProgram(err error) {
	told := findings{list: slices.Clone(i.list)}
	i.blame(err, "", "")
	i.list = slices.DeleteFunc(i.list, func(f Finding) bool {
		return f.Level == Error && f.Line == 0 && f.File != "" && told.wrong(f.File) && !slices.Contains(told.list, f)
	})
}

// fromProgram is a warning of a program, which mostly begins with its file.
func (i *inspector) fromProgram(text string) {
	f := Finding{Level: Warning, What: text}
	if m := inControl.FindStringSubmatch(text); m != nil {
		f.File, f.What = i.path(m[2]), withoutFile(m, text)
	}
	i.add(f)
}

func (i *inspector) exists(name string) bool {
	_, err := os.Lstat(i.path(name))
	return err == nil
}

func named(name string) settings.Setting {
	s, _ := settings.Named(name)
	return s
}
