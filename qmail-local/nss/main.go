package nss

import (
	"os"
	"path/filepath"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/getent"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/wire/account"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the installation or the control channel is not usable
)

const (
	logPrefix = "qmail-nss: "
	// atOnce is how many questions of a link are worked on.
	atOnce = 64
)

// daemon is the process.
type daemon struct {
	world  world.World
	log    func(line string)
	seldom logline.Seldom
	cache  *cache
}

// Main runs qmail-nss until its control channel ends.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	if err := run(w, log.Line); err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

func run(w world.World, log func(string)) error {
	channel, err := parent.Inherited()
	if err != nil {
		return err
	}
	found, err := accounts.ReadNSS(control.Dir(filepath.Join(w.Home, "control")))
	if err != nil {
		return err
	}
	if err := forbid(w.Home); err != nil {
		return err
	}
	d := &daemon{world: w, log: log}
	program := getent.Program{Path: getent.Path, Limit: getent.Limit, Probe: found.Probe, NeedsProbe: found.MayBeAway}
	asks := &asker{lookup: program.LookupAll, warn: d.warn}
	d.cache = newCache(w.Clock.Now, asks.ask)
	return channel.Run(d.frame)
}

// forbid has the kernel hold this process, and what it runs, to its user.
func forbid(home string) error {
	in, err := priv.Examine(home)
	if err != nil {
		return err
	}
	policy, err := in.Policy()
	if err != nil || in.Private || policy.Off || policy.SetuidPrograms {
		return err
	}
	nobodies, err := priv.FindNobodies(1)
	if err != nil {
		return err
	}
	return nobodies.Forbid()
}

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && (f.Name == parent.NSSLspawn || f.Name == parent.NSSLookup):
		go d.serve(f.Name, f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-nss")
	}
	return nil
}

// serve answers the questions of a link.
func (d *daemon) serve(name string, link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte { return account.Reply(question, d.cache.find) })
	if err != nil {
		d.log(logPrefix + "warning: link " + name + ": " + err.Error())
	}
}

// warn logs why there was no answer, one line a minute for each cause.
func (d *daemon) warn(err error) {
	if note, ok := d.seldom.Allow(d.world.Clock.Now(), err); ok {
		d.log(logPrefix + "warning: " + err.Error() + note)
	}
}
