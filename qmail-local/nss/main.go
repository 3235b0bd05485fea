package nss

import (
	"path/filepath"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/getent"
	"postrider/internal/priv"
	"postrider/internal/responder"
	"postrider/internal/wire/account"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// atOnce is how many questions of a link are worked on.
const atOnce = 64

// daemon is the process.
type daemon struct {
	*responder.Daemon
	cache *cache
}

// Main runs qmail-nss until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-nss", func(d *responder.Daemon, channel *parent.Channel) error {
		found, err := accounts.ReadNSS(control.Dir(filepath.Join(w.Home, "control")))
		if err != nil {
			return err
		}
		if err := priv.ForbidOthers(w.Home); err != nil {
			return err
		}
		program := getent.Program{Path: getent.Path, Limit: getent.Limit, Probe: found.Probe, NeedsProbe: found.MayBeAway}
		asks := &asker{lookup: program.LookupAll, warn: d.Warn}
		return channel.Run((&daemon{d, newCache(w.Clock.Now, asks.ask)}).frame)
	})
}

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && (f.Name == parent.NSSLspawn || f.Name == parent.NSSLookup):
		go d.Respond(f.File, f.Name, atOnce, func(question []byte) []byte { return account.Reply(question, d.cache.find) })
	default:
		d.Stray(f)
	}
	return nil
}
