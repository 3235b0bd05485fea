package explain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"postrider/internal/accounts"
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/getent"
	"postrider/internal/priv"
	"postrider/internal/route"
	"postrider/internal/srs"
	"postrider/internal/wire/rewriting"
	"postrider/internal/world"
)

// explainer knows one configuration.
type explainer struct {
	world    world.World
	dir      control.Dir
	in       priv.Installation
	asRoot   bool // programs can be run as others
	resolver accounts.Resolver
	nobodies priv.Nobodies
	aliases  *aliases.Tables
	table    *route.Table
	unread   error // why no address of SRS can be told
	delivery string
	dns      bool
	siblings siblings
}

// newExplainer reads the configuration in a control directory; empty is the usual
// one.
func newExplainer(w world.World, o options, dir string) (*explainer, error) {
	w.Control = dir
	in, err := priv.Examine(w.Home)
	if err != nil {
		return nil, err
	}
	in.Control = dir
	e := &explainer{
		world: w, dir: control.Dir(w.ControlDir()), in: in, dns: !o.noDNS, delivery: o.delivery,
		asRoot:   os.Geteuid() == 0 && !in.Private,
		siblings: siblings{home: w.Home, control: dir, running: make(map[string]*sibling)},
	}
	if e.delivery == "" {
		e.delivery = startedWith(w.Home)
	}
	if e.resolver, e.nobodies, err = in.Recipients(); err != nil {
		return nil, err
	}
	e.aliases = aliases.New(e.dir)
	if err := e.askBeyondFiles(); err != nil {
		return nil, err
	}
	if e.table, err = route.Read(e.dir); err != nil {
		return nil, err
	}
	return e, e.readSRS()
}

func (e *explainer) close() { e.siblings.endAll("") }

// askBeyondFiles has getent asked for accounts that /etc/passwd does not have, as
// qmail-nss does.
func (e *explainer) askBeyondFiles() error {
	nss, err := accounts.ReadNSS(e.dir)
	if err != nil || e.in.Private || !nss.Asked {
		return err
	}
	ask := getent.Program{Path: getent.Path, Limit: getent.Limit, Probe: nss.Probe, NeedsProbe: nss.MayBeAway}
	e.resolver.Passwd.Ask = ask.Lookup
	return nil
}

// readSRS makes addresses of SRS known.
func (e *explainer) readSRS() error {
	text, present, err := e.dir.Text("srssecret")
	if errors.Is(err, fs.ErrPermission) {
		e.unread = err
		return nil
	}
	if err != nil || !present {
		return err
	}
	secrets, err := rewriting.Secrets(text)
	if err != nil {
		return fmt.Errorf("%s/srssecret: %w", e.dir, err)
	}
	domain, err := e.dir.LineOrMe("srsdomain", "")
	if err != nil {
		return err
	}
	e.table = e.table.WithSRS(srs.New(secrets, domain, e.world.Clock.Now))
	return nil
}

// as returns as whom a program of the suite is run.
func (e *explainer) as(program string) (identity, error) {
	if !e.asRoot {
		return nil, nil
	}
	role, _ := priv.RoleOf(program)
	role, err := e.in.Chosen(role)
	if err != nil {
		return nil, err
	}
	id, err := role.Identity()
	return &id, err
}
