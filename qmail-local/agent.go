package qmaillocal

import (
	"os"
	"time"

	"postrider/internal/aliases"
	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/limits"
	"postrider/internal/lmtp"
	"postrider/internal/maildir"
	"postrider/internal/maildirsize"
	"postrider/internal/vpopmail"
	"postrider/internal/world"
)

// agent is what all deliveries of one process share.
type agent struct {
	clock    clock.Clock
	maildirs *maildir.Store
	quotas   *maildirsize.Quotas
	lmtp     *lmtp.Pool
	qmail    string // the qmail home directory: the queue, programs
	controls control.Dir
	environ  []string // what programs inherit
	aliases  *aliases.Tables
	// dotForward is control/dotforward.
	dotForward *control.Cached[int]
	vpopmail   *control.Cached[vpopmail.Settings]

	// programLimit is how long the programs of a delivery may run, from when it
	// has its slot; 0 is for ever.
	programLimit time.Duration
	limits       limits.Limits // of programs
	ownGroup     bool          // programs get a process group of their own
}

func newAgent(w world.World, environ []string) (*agent, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	dir := control.Dir(w.ControlDir())
	return &agent{
		aliases:    aliases.New(dir),
		dotForward: control.NewCached(dir, []string{"dotforward"}, func() (int, error) { return dir.Int("dotforward", 0) }),
		vpopmail: control.NewCached(dir, []string{"vpopmail"}, func() (vpopmail.Settings, error) {
			return vpopmail.Load(dir)
		}),
		clock:    w.Clock,
		maildirs: maildir.NewStore(w.Clock, host),
		quotas:   maildirsize.NewQuotas(w.Clock.Now),
		lmtp:     lmtp.NewPool(host),
		qmail:    w.Home,
		controls: dir,
		environ:  environ,
	}, nil
}
