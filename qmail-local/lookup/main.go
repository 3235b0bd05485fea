package lookup

import (
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/priv"
	"postrider/internal/responder"
	"postrider/internal/srs"
	"postrider/internal/wire/call"
	wire "postrider/internal/wire/lookup"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/rewriting"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the installation or the control channel is not usable
)

// atOnce is how many questions are worked on. More wait in the link.
const atOnce = 64

// daemon is the process.
type daemon struct {
	*responder.Daemon
	finder *finder
	nss    *call.Client // nil: all accounts are in /etc/passwd
}

// Main runs qmail-lookup until its control channel ends.
func Main(w world.World) int {
	if dir, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 && !fdpass.IsPacketSocket(parent.FD) {
		w.Control = dir
		return explain(w)
	}
	return responder.Main(w, "qmail-lookup", func(d *responder.Daemon, channel *parent.Channel) error {
		return run(w, d, channel)
	})
}

// run serves until the control channel ends. A question that then has no
// answer gets none.
func run(w world.World, r *responder.Daemon, channel *parent.Channel) error {
	installation, err := priv.Examine(w.Home)
	if err != nil {
		return err
	}
	resolver, nobodies, err := installation.Recipients()
	if err != nil {
		return err
	}
	dir := control.Dir(w.ControlDir())
	resolver.Aliases = aliases.New(dir).Look
	f := newFinder(dir, resolver, w.Clock, r.Warn)
	if !installation.Private {
		f.nobody = nobodies.Has
	}
	if f.domains, err = askDomains(installation); err != nil {
		return err
	}
	d := &daemon{Daemon: r, finder: f}
	if d.nss, err = f.askBeyondFiles(installation); err != nil {
		return err
	}
	return channel.Run(d.frame)
}

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.DefaultDelivery:
		d.finder.setDefaultDelivery(string(f.Data))
	case f.Kind == parent.Rewriting:
		told, err := rewriting.Parse(f.Data)
		if err != nil {
			return err
		}
		d.finder.routes.rewrite(srs.New(told.Secrets, told.Domain, d.finder.clock.Now))
	case f.Kind == parent.Link && f.Name == parent.LookupSMTPD:
		go d.Respond(f.File, "qmail-smtpd", atOnce, d.answer)
	case f.Kind == parent.Link && f.Name == parent.LookupQMTPD:
		go d.Respond(f.File, "qmail-qmtpd", atOnce, d.answer)
	case f.Kind == parent.Link && f.Name == parent.NSS && d.nss != nil:
		if err := d.nss.Relink(f.File); err != nil {
			d.Say("warning: link to qmail-nss: " + err.Error())
		}
	case f.Kind == parent.Link && f.Name == parent.VLookup && d.finder.domains != nil:
		if err := d.finder.domains.link.Relink(f.File); err != nil {
			d.Say("warning: link to qmail-vlookup: " + err.Error())
		}
	default:
		d.Stray(f)
	}
	return nil
}

// answer answers a question.
func (d *daemon) answer(question []byte) []byte { return wire.Reply(question, d.finder.find) }
