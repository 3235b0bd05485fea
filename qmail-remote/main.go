package qmailremote

import (
	"context"
	"fmt"
	"os"
	"time"

	"postrider/internal/fdpass"
	"postrider/internal/resolver"
	"postrider/internal/tcpto"
	"postrider/internal/webpki"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// Main runs qmail-remote: as a worker if qmail-start made it one, else in the
// classic form with operands. It returns the exit status.
func Main(w world.World) int {
	if IsWorker(w) {
		return workerMain(w)
	}
	if dir, rest, asked := steps.Arguments(w.Args); asked && len(rest) == 0 {
		w.Control = dir
		return stepsMain(w)
	}
	if len(w.Args) > 1 && w.Args[1] == explainOption {
		return explainMain(w)
	}
	return classicMain(w)
}

// IsWorker tells a worker of qmail-start's by its missing operands and its
// control channel.
func IsWorker(w world.World) bool {
	return len(w.Args) <= 1 && fdpass.IsPacketSocket(parent.FD)
}

// newClient returns a client of the running machine.
func newClient(w world.World, patience time.Duration) *client {
	files := &settingsFiles{home: w.Home, control: w.Control, resolvConf: resolver.SystemConfig, clock: w.Clock}
	return &client{
		clock:    w.Clock,
		settings: files.current,
		own:      &ownAddresses{list: interfaceAddresses, clock: w.Clock},
		dial:     dialTCP,
		down:     newDownHosts(w.Clock, sharedTable(w.Home)),
		pool:     newPool(w.Clock, patience),
		roots:    webpki.SystemRoots().Pool,
		headers:  make(chan struct{}, headersAtOnce),
	}
}

// sharedTable opens the table of hosts that time out, for who may change it; for
// others, and where there is none, it is nil.
func sharedTable(home string) *tcpto.Table {
	table, err := tcpto.Open(home, true)
	if err != nil {
		return nil
	}
	return table
}

// warn writes one line to the log.
func warn(log *os.File, format string, args ...any) {
	// A log that cannot be written must not stop mail.
	_, _ = log.WriteString("qmail-remote: warning: " + printable(fmt.Sprintf(format, args...)) + "\n")
}

func workerMain(w world.World) int {
	channel, err := parent.Inherited()
	if err != nil {
		warn(w.Stderr, "%v", err)
		return exitMisused
	}
	c := newClient(w, quitPatience)
	defer c.pool.close()
	return newWorker(c, w.Stderr).run(context.Background(), channel)
}
