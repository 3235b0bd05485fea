package lookup

import (
	"cmp"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/route"
	wire "postrider/internal/wire/lookup"
)

// homeTime is how long a look at a home directory may take.
const homeTime = 2 * time.Second

// finder answers questions. It may be used by many goroutines.
type finder struct {
	routes   *routes
	settings *control.Cached[settings]
	resolver accounts.Resolver
	// nobody says as whom qmail-lspawn delivers no mail.
	nobody func(uid, gid uint32) bool
	// domains, if not nil, is who looks into the homes of one user.
	domains *domains
	reach   *accounts.Reach
	clock   clock.Clock
	warn    func(err error) // of trouble
	// delivery is what the mail of users without a .qmail file does.
	delivery atomic.Pointer[string]
}

func newFinder(dir control.Dir, resolver accounts.Resolver, c clock.Clock, warn func(error)) *finder {
	f := &finder{
		routes:   &routes{dir: dir, clock: c},
		settings: keepSettings(dir),
		resolver: resolver,
		nobody:   func(uid, _ uint32) bool { return uid == 0 },
		reach:    accounts.NewReach(homeTime),
		clock:    c,
		warn:     warn,
	}
	f.resolver.Stat = f.stat
	f.setDefaultDelivery("")
	return f
}

func (f *finder) setDefaultDelivery(instructions string) { f.delivery.Store(&instructions) }

var (
	exists  = wire.Answer{Verdict: wire.Exists}
	unknown = wire.Answer{Verdict: wire.Unknown}
)

// errAsThatUser says that the tables name somebody whom no mail goes to.
var errAsThatUser = errors.New("no mail is delivered as the user that users/cdb names")

// errNoPostmaster is for the log alone.
var errNoPostmaster = errors.New("postmaster has no mailbox, and each domain must have one (RFC 5321 section 4.5.1): make ~alias/.qmail-postmaster")

// find answers the question for a recipient.
func (f *finder) find(recipient address.Address) wire.Answer {
	answer, err := f.look(recipient)
	if err != nil {
		f.warn(err)
		return wire.Answer{Verdict: wire.Unsure, Text: err.Error()}
	}
	if answer == unknown && strings.EqualFold(recipient.Local(), "postmaster") {
		f.warn(errNoPostmaster)
	}
	return answer
}

// look goes the way of a delivery up to where its instructions are found.
func (f *finder) look(recipient address.Address) (wire.Answer, error) {
	table, err := f.routes.get()
	if err != nil {
		return wire.Answer{}, err
	}
	if ours := table.SRS(); ours != nil && ours.IsOurs(recipient.String()) {
		if _, err := ours.Reverse(recipient.String()); err != nil {
			return unknown, nil // a bounce that comes too late, or for a forged sender
		}
		return exists, nil
	}
	channel, rewritten := table.Of(recipient.String())
	if channel == route.Remote {
		return exists, nil // another host knows
	}
	local := rewritten[:strings.LastIndexByte(rewritten, '@')]
	if local == "" {
		return exists, nil // mail for it is discarded (spec section 3.2)
	}
	if aliased, err := f.aliased(local); aliased != nil || err != nil {
		return *cmp.Or(aliased, &wire.Answer{}), err
	}
	user, err := f.resolver.Resolve(local)
	if err != nil {
		return wire.Answer{}, err
	}
	if f.nobody(user.UID, user.GID) {
		return wire.Answer{}, errAsThatUser
	}
	answer, err := f.inHome(user)
	if err == nil && answer.Verdict == wire.Full {
		return f.full(answer)
	}
	return answer, err
}

// aliased is the answer for what the tables of aliases decide: one that is in
// them exists. A backslash in front is for aliases alone to say.
func (f *finder) aliased(local string) (*wire.Answer, error) {
	if f.resolver.Aliases == nil {
		return nil, nil
	}
	isAlias, rest, err := f.resolver.Aliases(local)
	switch {
	case err != nil:
		return nil, err
	case isAlias:
		return &exists, nil
	case rest != local:
		return &unknown, nil
	}
	return nil, nil
}

// full is the answer for a mailbox over its quota: where deliveries wait until
// there is room, mail for it is taken.
func (f *finder) full(answer wire.Answer) (wire.Answer, error) {
	dir := f.routes.dir
	what, err := dir.Line("overquota", "bounce")
	if err == nil && what == "defer" {
		return exists, nil
	}
	return answer, err
}

// stat looks at the home of an account that a local part may mean.
func (f *finder) stat(home string, st *unix.Stat_t) error {
	return f.reach.Stat(home, st)
}
