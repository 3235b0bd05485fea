package smtpd

import (
	"math/rand/v2"
	"runtime/debug"

	"postrider/internal/fdpass"
	"postrider/internal/logline"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK     = 0
	exitBroken = 1   // classic form: the connection broke, as in qmail
	exitTemp   = 111 // the control channel is not usable
)

// memoryGoal is what the garbage collector keeps the daemon near. Sessions
// over the default number may take more.
const memoryGoal = 18 << 20

// Main runs qmail-smtpd: as a daemon if qmail-start left a control channel,
// else on descriptors 0 and 1, as under tcpserver.
func Main(w world.World) int {
	logger := logline.NewWriter(w.Stderr)
	defer logger.Close()
	s := &service{clock: w.Clock, log: logger, lent: &budget{}}
	if !fdpass.IsPacketSocket(parent.FD) {
		if dir, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 {
			w.Control = dir
			return explain(w, s)
		}
		return classic(w, s)
	}
	channel, err := parent.Inherited()
	if err != nil {
		logger.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	debug.SetMemoryLimit(memoryGoal)
	d := newDaemon(w.Home, s)
	d.sessions.Last = rand.Uint64N(1 << 32) // sessions of two runs differ in the log
	if _, _, err := d.controls.Get(w.Clock.Now()); err != nil {
		logger.Line(logPrefix + "alert: unable to read controls, no mail is taken: " + err.Error())
	}
	if err := d.run(channel); err != nil {
		logger.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}
