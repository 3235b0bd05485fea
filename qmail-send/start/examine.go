package start

import (
	"path/filepath"

	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/world"
)

// Examine reads all settings as qmail-start does before it starts anything, and
// opens the private keys. With an error it does not start.
func Examine(home string) (warnings []string, err error) {
	in, err := priv.Examine(home)
	if err != nil {
		return nil, err
	}
	set, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home})
	if err == nil {
		err = set.readFiles(in)
	}
	closeKeys(set.keys)
	closeKeys(set.clientKey)
	closeKeys(set.dkimKeys)
	if err != nil {
		return nil, err
	}
	policy, err := in.Policy()
	if err != nil {
		return nil, err
	}
	if warning := policy.Warning(); warning != "" {
		warnings = []string{warning}
	}
	return warnings, nil
}

// Readers are those of control files that have a form, by file.
func Readers() map[string]func(control.Dir) error {
	endpoints := func(s service) func(control.Dir) error {
		return func(dir control.Dir) error { return new(settings).readEndpoints(dir, s) }
	}
	readers := map[string]func(control.Dir) error{
		"remoteworkers": func(dir control.Dir) error { _, err := readRemotes(dir); return err },
		"logformat":     func(dir control.Dir) error { _, err := logsJSON(dir); return err },
		"srssecret":     func(dir control.Dir) error { _, err := readRewriting(dir); return err },
	}
	for _, s := range services() {
		readers[s.file] = endpoints(s)
	}
	return readers
}

// Listens returns where a program is served, address:port each, by the control
// file that says so. What that does not say correctly is left out.
func Listens(home string) (where map[string][]string) {
	where = make(map[string][]string)
	dir := control.Dir(filepath.Join(home, "control"))
	for _, s := range services() {
		var set settings
		if set.readEndpoints(dir, s) != nil {
			continue
		}
		for _, at := range set.endpoints {
			if !at.Optional {
				where[s.file] = append(where[s.file], at.AddrPort.String())
			}
		}
	}
	return where
}
