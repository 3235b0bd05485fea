package lookup

import (
	"strconv"

	"postrider/internal/accounts"
	"postrider/internal/control"
	wire "postrider/internal/wire/lookup"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// explain answers whether an account has a mailbox (internal/wire/steps), with the
// rights that this process has: it looks itself into homes that qmail-vlookup looks
// into for the daemon. A question is the account's name, uid, gid and home, dash
// and extension, and the default delivery.
func explain(w world.World) int {
	dir := control.Dir(w.ControlDir())
	breaks, unreadable := accounts.Break(dir)
	f := newFinder(dir, accounts.Resolver{Break: breaks}, w.Clock, func(error) {})
	err := steps.Serve(w.Stdin, w.Stdout, func(question []string) (a steps.Answer) {
		user, known := accountOf(question)
		switch {
		case unreadable != nil:
			a.End(steps.Waits, unreadable.Error())
		case !known:
			a.End(steps.Unknown, "qmail-lookup is asked for an account")
		default:
			f.setDefaultDelivery(question[6])
			f.explain(&a, user)
		}
		return a
	})
	if err != nil {
		return exitTemp
	}
	return exitOK
}

func accountOf(q []string) (user accounts.Recipient, known bool) {
	if len(q) != 7 {
		return user, false
	}
	uid, uidErr := strconv.ParseUint(q[1], 10, 32)
	gid, gidErr := strconv.ParseUint(q[2], 10, 32)
	user = accounts.Recipient{User: q[0], UID: uint32(uid), GID: uint32(gid), Home: q[3], Dash: q[4], Ext: q[5]}
	return user, uidErr == nil && gidErr == nil
}

func (f *finder) explain(a *steps.Answer, user accounts.Recipient) {
	answer, err := f.inHome(user)
	if err == nil && answer.Verdict == wire.Full {
		answer, err = f.full(answer)
	}
	switch {
	case err != nil:
		a.End(steps.Waits, err.Error())
	case answer.Verdict == wire.Exists:
		a.End(steps.Goes, "")
	case answer.Verdict == wire.Full:
		a.Do("full", answer.Text, steps.Place{})
		a.End(steps.Fails, "the mailbox is full")
	default:
		a.Do("unknown", "", steps.Place{})
		a.End(steps.Fails, "there is no such mailbox")
	}
}
