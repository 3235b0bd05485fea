package lspawn

import (
	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// MinimumUID is the least uid that gets mail unless control/localuidmin says
// otherwise: those below are the oldest system accounts (daemon, bin, mail ...).
const MinimumUID = 11

// directory finds users.
type directory struct {
	resolver accounts.Resolver
	minimum  uint32
	refused  map[uint32]bool // the suite's own users
}

// identity is what a worker runs as.
type identity struct{ uid, gid uint32 }

// find returns the user of a recipient and the job for his worker, or the
// reply that ends the delivery. It may wait for a home directory's server.
func (d *directory) find(sender, recipient address.Address) (id identity, job localwork.Job, end *reply) {
	if !recipient.HasDomain() {
		return id, job, &noHost
	}
	local := recipient.Local()
	if local == "" {
		return id, job, &noLocalPart
	}
	user, err := d.resolver.Resolve(local)
	if err != nil {
		r := lookupReply(err)
		return id, job, &r
	}
	if end := d.refuse(user.UID); end != nil {
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

// refuse tells whether mail may be delivered as uid. This is the last word
// whatever the tables say.
func (d *directory) refuse(uid uint32) *reply {
	switch {
	case uid == 0:
		return &asRoot
	case d.resolver.Private != nil && uid == d.resolver.Private.UID:
		return nil
	case d.resolver.Private != nil, uid < d.minimum, d.refused[uid]:
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
