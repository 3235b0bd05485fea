package qmailsend

import (
	"slices"

	"postrider/internal/address"
	"postrider/internal/queuedir"
	"postrider/internal/rcpthosts"
	"postrider/internal/srs"
	wire "postrider/internal/wire/rewriting"
	"postrider/qmail-send/bounce"
)

// rewriting is how the senders of forwarded mail are rewritten for other hosts
// (internal/srs). Bounces that we make ourselves go to the original sender.
type rewriting struct {
	srs *srs.Rewriter
	// network are the users as whom mail of the network is handed in.
	network []uint32
	hosts   *rcpthosts.Hosts
}

// beginRewriting takes what qmail-start says. It checked that: trouble here is
// logged, and senders stay as they are.
func (s *scheduler) beginRewriting(data []byte) {
	told, err := wire.Parse(data)
	var hosts *rcpthosts.Hosts
	if err == nil {
		hosts, err = rcpthosts.Load(s.control)
	}
	s.post(func() {
		if err != nil {
			s.trouble(err, "alert: senders of forwarded mail are not rewritten")
			return
		}
		r := srs.New(told.Secrets, told.Domain, s.clock.Now)
		s.settings.rewriting = &rewriting{r, told.Network, hosts}
		s.settings.routes = s.settings.routes.WithSRS(r)
	})
}

// wanted tells whether a message is forwarded mail of a domain that is not ours:
// a user's program handed it in, and the sender's domain is none that we take
// mail for.
func (r *rewriting) wanted(head queuedir.Head) bool {
	if r == nil || slices.Contains(r.network, head.UID) {
		return false
	}
	sender, err := address.New(bounce.ReturnTo(head.Sender.String()))
	if err != nil || !sender.HasDomain() || sender.Domain() == "" {
		return false
	}
	if sender.Domain()[0] == '[' { // of a double bounce, which is not to find back; or an address
		return false
	}
	ours, err := r.hosts.Takes(sender)
	return err == nil && !ours
}

// sender returns what other hosts are told.
func (r *rewriting) sender(original address.Address) address.Address {
	if r == nil {
		return original
	}
	made, err := address.New(r.srs.Forward(original.String()))
	if err != nil {
		return original
	}
	return made
}
