package lookup

import (
	"errors"
	"path/filepath"

	"postrider/internal/accounts"
	"postrider/internal/control"
	"postrider/internal/priv"
	"postrider/internal/responder"
	"postrider/internal/wire/call"
	wire "postrider/internal/wire/lookup"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/vlookup"
	"postrider/internal/world"
)

const domainsProgram = "qmail-vlookup"

// domains is who answers for the homes of one user.
type domains struct {
	uid  uint32
	link *call.Client
}

// askDomains has the homes of the user that control/vpopmailuser names looked
// into by qmail-vlookup, if there is one.
func askDomains(in priv.Installation) (*domains, error) {
	role, _ := priv.RoleOf("qmail-vlookup")
	name, err := in.ChosenUser(role)
	if err != nil || name == "" || in.Private {
		return nil, err
	}
	if role, err = in.Chosen(role); err != nil {
		return nil, err
	}
	id, err := role.Identity()
	if err != nil {
		return nil, err
	}
	return &domains{id.UID, call.NewClient("qmail-vlookup")}, nil
}

// find is the answer of qmail-vlookup.
func (d *domains) find(user accounts.Recipient) (wire.Answer, error) {
	answer, err := vlookup.Ask(d.link, user, askTime)
	if err == nil && answer.Verdict == wire.Unsure {
		err = errors.New(domainsProgram + ": " + answer.Text)
	}
	return answer, err
}

// inHome is the answer for an account: of who may look there.
func (f *finder) inHome(user accounts.Recipient) (wire.Answer, error) {
	if f.domains != nil && user.UID == f.domains.uid {
		return f.domains.find(user)
	}
	said, _, err := f.settings.Get(f.clock.Now())
	if err != nil {
		return wire.Answer{}, err
	}
	r := rules{f.resolver.Break, *f.delivery.Load(), said}
	return accounts.Within(f.reach, user.Home, func() (wire.Answer, error) { return mailbox(user, r) })
}

// DomainsMain runs qmail-vlookup until its control channel ends.
func DomainsMain(w world.World) int {
	return responder.Main(w, domainsProgram, func(d *responder.Daemon, channel *parent.Channel) error {
		return runDomains(w, d, channel)
	})
}

func runDomains(w world.World, d *responder.Daemon, channel *parent.Channel) error {
	dir := control.Dir(filepath.Join(w.Home, "control"))
	breaks, err := accounts.Break(dir)
	if err != nil {
		return err
	}
	// It is a finder whose questions begin where the account is known.
	f := newFinder(dir, accounts.Resolver{Break: breaks}, w.Clock, d.Warn)
	return channel.Run(func(frame parent.Frame) error {
		switch {
		case frame.Kind == parent.DefaultDelivery:
			f.setDefaultDelivery(string(frame.Data))
		case frame.Kind == parent.Link && frame.Name == parent.VLookupLookup:
			go d.Respond(frame.File, "qmail-lookup", atOnce, f.answerHome)
		default:
			d.Stray(frame)
		}
		return nil
	})
}

// answerHome answers a question of qmail-lookup.
func (f *finder) answerHome(question []byte) []byte { return vlookup.Reply(question, f.answerFor) }

func (f *finder) answerFor(user accounts.Recipient) wire.Answer {
	answer, err := f.inHome(user)
	if err != nil { // qmail-lookup logs it
		return wire.Answer{Verdict: wire.Unsure, Text: err.Error()}
	}
	return answer
}
