package reading

import (
	"errors"
	"io"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/progress"
)

const (
	// maxRecipients and sectionBytes bound the recipients of one pass that are in
	// memory at a time.
	maxRecipients = 256
	sectionBytes  = 64 << 10
)

// Recipient is a recipient that is to be delivered to.
type Recipient struct {
	Index   int
	Address address.Address // as rewritten
	Sender  address.Address // expanded, if the message's is to be
	Refused string          // why there is no such address; address is then null
	Later   bool            // until the administrator has mended a control file
	Shown   string          // what the log shows of it if refused
	Facts   esmtp.Recipient
}

// Group is recipients that are reached together.
type Group struct {
	Host       string // remote only
	Relay      string // the next host, if an operator has named it
	Recipients []Recipient
}

// Domain is that of a job, as control/destinations has it; of one that goes to
// a host that an operator has named, none.
func (g *Group) Domain() string {
	if g.Relay != "" {
		return ""
	}
	return g.Host
}

// Name is the domain of a job for people.
func (g *Group) Name() string {
	if g.Relay != "" {
		return g.Relay
	}
	return g.Host
}

// Section is the next recipients of a pass.
type Section struct {
	Groups []Group
	Undone bool // some recipient of the channel is not finished
	More   bool // there are further recipients, at or after index Next
	Next   int

	bytes, count int
	byHost       map[string]int // groups by domain
}

// Guide is what a reader needs to know of a message; it is not changed.
type Guide struct {
	routes *route.Table
	sender string
	VERP   bool            // sender is expanded for each recipient
	skip   queuedir.Bitmap // finished recipients
	// changes are what operators changed of recipients.
	changes map[int]queuedir.Change
}

// route returns where a recipient goes: the channel, the address as rewritten,
// and the host that an operator has named.
func (r *Guide) route(index int, recipient string) (c route.Channel, rewritten, relay string) {
	change := r.changes[index]
	if change.Address != "" {
		recipient = change.Address
	}
	c, rewritten = r.routes.Of(recipient)
	if change.Relay == "" {
		return c, rewritten, ""
	}
	if route.DomainOf(recipient) != "" {
		rewritten = recipient // of another host's making
	}
	return route.Remote, rewritten, change.Relay
}

// add puts recipient index into the section unless that is full.
func (w *Section) add(r *Guide, c route.Channel, index int, rewritten, relay string, facts esmtp.Recipient) {
	w.Undone = true
	if w.More {
		return
	}
	if w.count >= maxRecipients || w.bytes+len(rewritten) > sectionBytes && w.count > 0 {
		w.More, w.Next = true, index
		return
	}
	w.count++
	w.bytes += len(rewritten) + len(facts.Original)
	it := r.item(index, rewritten)
	it.Facts = facts
	host := ""
	if c == route.Remote {
		host = route.DomainOf(rewritten)
	}
	if c == route.Local || r.VERP || it.Refused != "" {
		w.Groups = append(w.Groups, Group{Host: host, Relay: relay, Recipients: []Recipient{it}})
		return
	}
	key := host
	if relay != "" {
		key += "\x00" + relay
	}
	if i, found := w.byHost[key]; found {
		w.Groups[i].Recipients = append(w.Groups[i].Recipients, it)
		return
	}
	if w.byHost == nil {
		w.byHost = make(map[string]int)
	}
	w.byHost[key] = len(w.Groups)
	w.Groups = append(w.Groups, Group{Host: host, Relay: relay, Recipients: []Recipient{it}})
}

// item checks addresses again: rewriting and expanding can make them too long
// or take a domain away.
func (r *Guide) item(index int, rewritten string) Recipient {
	it := Recipient{Index: index, Shown: rewritten}
	var err error
	if it.Address, err = address.New(rewritten); err == nil && r.VERP {
		it.Sender, err = address.New(bounce.ExpandSender(r.sender, rewritten))
	}
	switch {
	case errors.Is(err, address.ErrControl): // the envelope has none: CR LF at the end of a line of a control file
		it.Refused, it.Later = "Sorry, a control file of this host makes an address with a control byte of it. (#4.3.5)\n", true
	case errors.Is(err, address.ErrTooLong):
		it.Refused = "Sorry, that address is too long. (#5.1.3)\n"
	case err != nil || route.DomainOf(rewritten) == "":
		it.Refused = "Sorry, address must include host name. (#5.1.3)\n"
	}
	return it
}

// Message is what a reader found of a message.
type Message struct {
	Entry      *queuedir.Entry
	Head       queuedir.Head
	Recipients int
	Progress   queuedir.Progress
	Guide      *Guide
	Sections   [route.Channels]Section
}

// Load opens an entry, checks all of it, and reads its progress and the first
// recipients of each channel. A large body is checked only if it may have been
// on disk: what was written a moment ago would be read from memory.
func Load(l queuedir.Layout, id queuedir.ID, hasInfo, check bool, routes *route.Table) (*Message, error) {
	entry, err := queuedir.OpenEntry(l, id)
	if err != nil {
		return nil, err
	}
	if !hasInfo {
		return LoadEntry(entry, nil, check, routes)
	}
	done := func(recipients int) (queuedir.Progress, error) { return progress.Read(l, id, recipients) }
	return LoadEntry(entry, done, check, routes)
}

// LoadEntry is load of an entry that is open; progress reads its progress file,
// nil if there is none. The entry is closed if it cannot be read.
func LoadEntry(entry *queuedir.Entry, progress func(int) (queuedir.Progress, error), check bool, routes *route.Table) (*Message, error) {
	got := &Message{Entry: entry, Guide: &Guide{routes: routes}}
	if err := got.read(progress, check); err != nil {
		entry.Close()
		return nil, err
	}
	return got, nil
}

func (got *Message) read(progress func(int) (queuedir.Progress, error), check bool) error {
	if check && !got.Entry.Footer.Inline { // an inline body is checked when it is handed out
		if err := got.Entry.CheckBody(); err != nil {
			return err
		}
	}
	if progress != nil {
		// The number of recipients is needed to judge the progress.
		n, err := got.Entry.CountRecipients()
		if err != nil {
			return err
		}
		if got.Progress, err = progress(n); err != nil {
			return err
		}
	}
	return got.readEnvelope()
}

func (got *Message) readEnvelope() error {
	envelope, err := got.Entry.Envelope()
	if err != nil {
		return err
	}
	got.Head = envelope.Head
	got.Guide.sender = got.Head.Sender.String()
	got.Guide.VERP = bounce.IsVERP(got.Guide.sender)
	got.Guide.changes = got.Progress.Changes
	for ; ; got.Recipients++ {
		recipient, err := envelope.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if got.Progress.Finished != nil && got.Progress.Finished.Has(got.Recipients) {
			continue
		}
		c, rewritten, relay := got.Guide.route(got.Recipients, recipient.String())
		got.Sections[c].add(got.Guide, c, got.Recipients, rewritten, relay, envelope.Facts)
	}
	if got.Progress.Finished == nil {
		got.Progress.Finished = queuedir.NewBitmap(got.Recipients)
	}
	return nil
}

// Cursor returns what reads on behind the first section of a channel, but for
// recipients that are finished now.
func (r *Guide) Cursor(entry *queuedir.Entry, c route.Channel, finished queuedir.Bitmap) *Cursor {
	own := *r
	own.skip = append(queuedir.Bitmap(nil), finished...)
	return &Cursor{entry: entry, guide: &own, channel: c}
}

// Cursor reads a pass's further sections. One reader uses it at a time.
type Cursor struct {
	entry    *queuedir.Entry
	guide    *Guide
	channel  route.Channel
	envelope *queuedir.EnvelopeReader
	index    int             // of the next recipient of envelope
	held     string          // rewritten recipient index-1, which did not fit; or ""
	relay    string          // of that
	facts    esmtp.Recipient // of that
}

// Next returns the next recipients; from is where the first call begins.
func (c *Cursor) Next(from int) (Section, error) {
	if c.envelope == nil {
		envelope, err := c.entry.Envelope()
		if err != nil {
			return Section{}, err
		}
		c.envelope = envelope
	}
	var w Section
	if c.held != "" {
		w.add(c.guide, c.channel, c.index-1, c.held, c.relay, c.facts)
		c.held = ""
	}
	for {
		recipient, err := c.envelope.Next()
		if err == io.EOF {
			return w, nil
		}
		if err != nil {
			return Section{}, err
		}
		index := c.index
		c.index++
		if index < from || c.guide.skip.Has(index) {
			continue
		}
		to, rewritten, relay := c.guide.route(index, recipient.String())
		if to != c.channel {
			continue
		}
		if w.add(c.guide, to, index, rewritten, relay, c.envelope.Facts); w.More {
			c.held, c.relay, c.facts = rewritten, relay, c.envelope.Facts
			return w, nil
		}
	}
}
