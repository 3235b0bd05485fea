package qmaillocal

import (
	"postrider/internal/fdpass"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// Exit codes of the command line (spec section 4.1). A worker exits 0 at the
// end of its link and exitTemporary if it cannot work.
const (
	exitDone      = 0
	exitPermanent = 100
	exitTemporary = 111
)

// Main runs qmail-local in the form it was started in.
func Main(w world.World) int {
	if fdpass.IsPacketSocket(localwork.FD) {
		return inheritedWorker(w)
	}
	if dir, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 {
		w.Control = dir
		return explainMain(w)
	}
	return commandLine(w)
}
