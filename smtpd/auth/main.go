package auth

import (
	"path/filepath"
	"runtime/debug"

	"postrider/internal/attempts"
	"postrider/internal/responder"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

const (
	// File is the file of passwords, below the home directory.
	File = "users/smtppasswd"
	// atOnce is how many hashes are computed at a time.
	atOnce = 2
	// memoryGoal is room for them.
	memoryGoal = (atOnce*maxMemory)<<10 + 32<<20
)

// daemon is the process.
type daemon struct {
	*responder.Daemon
	server auth.Server
}

// Main runs qmail-auth until its control channel ends.
func Main(w world.World) int {
	debug.SetMemoryLimit(memoryGoal)
	return responder.Main(w, "qmail-auth", func(d *responder.Daemon, channel *parent.Channel) error {
		return newDaemon(w, d).run(channel)
	})
}

func newDaemon(w world.World, d *responder.Daemon) *daemon {
	p := newPasswords(filepath.Join(w.Home, File), d.Say)
	p.Mechanisms() // what is wrong with the file is told at the start
	return &daemon{d, auth.Server{Verifier: p, Guard: attempts.New(w.Clock.Now), Log: d.Warn}}
}

// run serves until the control channel ends. A question that then has no answer
// gets none: its client is told to try again.
func (d *daemon) run(channel *parent.Channel) error { return channel.Run(d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.AuthSMTPD:
		go d.Respond(f.File, "qmail-smtpd", atOnce, d.server.Answer)
	default:
		d.Stray(f)
	}
	return nil
}
