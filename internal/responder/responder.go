// Package responder is a daemon that answers the questions of others: it runs
// until its control channel ends, is handed links by it, and answers over each
// what comes (internal/wire/call).
//
// Rooms import it. What is asked is for them to judge. The one fatal trouble is a
// control channel that is not usable, or a beginning that fails; all else is said
// in the log.
package responder

import (
	"os"

	"postrider/internal/clock"
	"postrider/internal/logline"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the installation or the control channel is not usable
)

// Daemon is the process.
type Daemon struct {
	program string
	clock   clock.Clock
	log     func(line string)
	seldom  logline.Seldom
}

// New returns the daemon called program, whose lines go to log.
func New(program string, c clock.Clock, log func(line string)) *Daemon {
	return &Daemon{program: program, clock: c, log: log}
}

// Main runs a daemon until its control channel ends, and returns its exit code.
func Main(w world.World, program string, run func(*Daemon, *parent.Channel) error) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	d := New(program, w.Clock, log.Line)
	channel, err := parent.Inherited()
	if err == nil {
		err = run(d, channel)
	}
	if err != nil {
		d.Say("fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

// Say logs a line, with the name of the program in front.
func (d *Daemon) Say(text string) { d.log(d.program + ": " + text) }

// Warn logs trouble, one line a minute for each cause.
func (d *Daemon) Warn(err error) {
	if note, ok := d.seldom.Allow(d.clock.Now(), err); ok {
		d.Say("warning: " + err.Error() + note)
	}
}

// Stray is called with a frame that is for somebody else.
func (d *Daemon) Stray(f parent.Frame) {
	if f.File != nil {
		_ = f.File.Close() // not for us
		d.Say("warning: control channel hands over " + f.Name + ", which is not for " + d.program)
	}
}

// Respond answers the questions of asker, most of them at a time, until its link
// ends.
func (d *Daemon) Respond(link *os.File, asker string, most int, answer func(question []byte) []byte) {
	if err := call.Serve(link, most, answer); err != nil {
		d.Say("warning: link to " + asker + ": " + err.Error())
	}
}
