package lspawn

import (
	"errors"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/priv"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// directory finds users.
type directory struct {
	resolver accounts.Resolver
	nobodies priv.Nobodies
	// note, if not nil, is told why somebody could not be looked for.
	note func(error)
}

// identity is what a worker runs as.
type identity struct{ uid, gid uint32 }

// assigned is find for those recipients about whom the administrator's tables have the
// last word.
// It does not wait.
func (d *directory) assigned(sender, recipient address.Address) (id identity, job localwork.Job, end *reply, known bool) {
	user, err := d.resolver.Assigned(recipient.Local())
	if recipient.HasDomain() && recipient.Local() != "" && errors.Is(err, accounts.ErrUnknown) {
		return id, job, nil, false
	}
	id, job, end = d.judge(sender, recipient, user, err)
	return id, job, end, true
}

// find returns the user of a recipient and the job for his worker, or the
// reply that ends the delivery. It may wait for a home directory's server.
func (d *directory) find(sender, recipient address.Address) (id identity, job localwork.Job, end *reply) {
	user, err := d.resolver.Resolve(recipient.Local())
	return d.judge(sender, recipient, user, err)
}

// judge makes the job of what was found.
func (d *directory) judge(sender, recipient address.Address, user accounts.Recipient, err error) (id identity, job localwork.Job, end *reply) {
	local := recipient.Local()
	switch {
	case !recipient.HasDomain():
		return id, job, &noHost
	case local == "":
		return id, job, &noLocalPart
	case err != nil:
		if d.note != nil {
			d.note(err)
		}
		r := lookupReply(err)
		return id, job, &r
	}
	if end := d.refuse(user.UID, user.GID); end != nil {
		return id, job, end
	}
	job = localwork.Job{
		User: user.User, Home: user.Home, Local: local, Dash: user.Dash, Ext: user.Ext,
		Domain: recipient.Domain(), Sender: sender.String(),
	}
	if !sendable(job) {
		return id, job, &unusable
	}
	return identity{user.UID, user.GID}, job, nil
}

// refuse tells whether mail may be delivered as uid and gid. This is the last
// word of this program whatever the tables say; the kernel has the same one.
func (d *directory) refuse(uid, gid uint32) *reply {
	switch {
	case uid == 0:
		return &asRoot
	case d.resolver.Private != nil && uid == d.resolver.Private.UID:
		return nil
	case d.resolver.Private != nil, d.nobodies.Has(uid, gid):
		return &asSystem
	}
	return nil
}

// sendable tells whether the worker's side of the protocol takes the job:
// users/cdb may hold anything.
func sendable(job localwork.Job) bool {
	if !localwork.JobsFit(1, localwork.JobSize(job)) {
		return false
	}
	_, err := localwork.DecodeJobs(localwork.AppendJobs(nil, []localwork.Job{job}))
	return err == nil
}

// result is the spawn result of a reply.
func (r reply) result(delivery uint64) spawn.Result {
	return spawn.Result{Delivery: delivery, Class: r.class, Text: r.text}
}
