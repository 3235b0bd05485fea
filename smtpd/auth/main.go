package auth

import (
	"os"
	"path/filepath"
	"runtime/debug"

	"postrider/internal/attempts"
	"postrider/internal/logline"
	"postrider/internal/wire/auth"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-auth: "
	// File is the file of passwords, below the home directory.
	File = "users/smtppasswd"
	// atOnce is how many hashes are computed at a time.
	atOnce = 2
	// memoryGoal is room for them.
	memoryGoal = (atOnce*maxMemory)<<10 + 32<<20
)

// daemon is the process.
type daemon struct {
	log    func(line string)
	server auth.Server
}

// Main runs qmail-auth until its control channel ends.
func Main(w world.World) int {
	logger := logline.NewWriter(w.Stderr)
	defer logger.Close()
	debug.SetMemoryLimit(memoryGoal)
	channel, err := parent.Inherited()
	if err == nil {
		err = newDaemon(w, logger.Line).run(channel)
	}
	if err != nil {
		logger.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

func newDaemon(w world.World, log func(string)) *daemon {
	d := &daemon{log: log}
	p := newPasswords(filepath.Join(w.Home, File), func(line string) { log(logPrefix + line) })
	var seldom logline.Seldom
	d.server = auth.Server{Verifier: p, Guard: attempts.New(w.Clock.Now), Log: func(err error) {
		if note, ok := seldom.Allow(w.Clock.Now(), err); ok {
			log(logPrefix + "warning: " + err.Error() + note)
		}
	}}
	p.Mechanisms() // what is wrong with the file is told at the start
	return d
}

// run serves until the control channel ends. A question that then has no answer
// gets none: its client is told to try again.
func (d *daemon) run(channel *parent.Channel) error { return channel.Run(d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.AuthSMTPD:
		go d.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-auth")
	}
	return nil
}

// serve answers the questions of a link.
func (d *daemon) serve(link *os.File) {
	if err := call.Serve(link, atOnce, d.server.Answer); err != nil {
		d.log(logPrefix + "warning: link to qmail-smtpd: " + err.Error())
	}
}
