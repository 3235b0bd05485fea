package qmailsend

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
	// windowCount and windowBytes bound the recipients of one pass that are in
	// memory at a time.
	windowCount = 256
	windowBytes = 64 << 10
)

// item is a recipient that is to be delivered to.
type item struct {
	index   int
	address address.Address // as rewritten
	sender  address.Address // expanded, if the message's is to be
	refused string          // why there is no such address; address is then null
	later   bool            // until the administrator has mended a control file
	shown   string          // what the log shows of it if refused
	facts   esmtp.Recipient
}

// spec is a job in the making: recipients that are reached together.
type spec struct {
	host  string // remote only
	relay string // the next host, if an operator has named it
	items []item
	to    *destination // remote: nil as long as nobody has asked
}

// window is the next recipients of a pass.
type window struct {
	specs  []spec
	undone bool // some recipient of the channel is not finished
	more   bool // there are further recipients, at or after index next
	next   int

	bytes, count int
	groups       map[string]int // specs by domain
}

// reading is what a reader needs to know of a message; it is not changed.
type reading struct {
	routes *route.Table
	sender string
	verp   bool            // sender is expanded for each recipient
	skip   queuedir.Bitmap // finished recipients
	// changes are what operators changed of recipients.
	changes map[int]queuedir.Change
}

// route returns where a recipient goes: the channel, the address as rewritten,
// and the host that an operator has named.
func (r *reading) route(index int, recipient string) (c channelID, rewritten, relay string) {
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
	return remote, rewritten, change.Relay
}

// add puts recipient index into the window unless that is full.
func (w *window) add(r *reading, c channelID, index int, rewritten, relay string, facts esmtp.Recipient) {
	w.undone = true
	if w.more {
		return
	}
	if w.count >= windowCount || w.bytes+len(rewritten) > windowBytes && w.count > 0 {
		w.more, w.next = true, index
		return
	}
	w.count++
	w.bytes += len(rewritten) + len(facts.Original)
	it := r.item(index, rewritten)
	it.facts = facts
	host := ""
	if c == remote {
		host = route.DomainOf(rewritten)
	}
	if c == local || r.verp || it.refused != "" {
		w.specs = append(w.specs, spec{host: host, relay: relay, items: []item{it}})
		return
	}
	key := host
	if relay != "" {
		key += "\x00" + relay
	}
	if i, found := w.groups[key]; found {
		w.specs[i].items = append(w.specs[i].items, it)
		return
	}
	if w.groups == nil {
		w.groups = make(map[string]int)
	}
	w.groups[key] = len(w.specs)
	w.specs = append(w.specs, spec{host: host, relay: relay, items: []item{it}})
}

// item checks addresses again: rewriting and expanding can make them too long
// or take a domain away.
func (r *reading) item(index int, rewritten string) item {
	it := item{index: index, shown: rewritten}
	var err error
	if it.address, err = address.New(rewritten); err == nil && r.verp {
		it.sender, err = address.New(bounce.ExpandSender(r.sender, rewritten))
	}
	switch {
	case errors.Is(err, address.ErrControl): // the envelope has none: CR LF at the end of a line of a control file
		it.refused, it.later = "Sorry, a control file of this host makes an address with a control byte of it. (#4.3.5)\n", true
	case errors.Is(err, address.ErrTooLong):
		it.refused = "Sorry, that address is too long. (#5.1.3)\n"
	case err != nil || route.DomainOf(rewritten) == "":
		it.refused = "Sorry, address must include host name. (#5.1.3)\n"
	}
	return it
}

// loaded is what a reader found of a message.
type loaded struct {
	entry      *queuedir.Entry
	head       queuedir.Head
	recipients int
	progress   queuedir.Progress
	reading    *reading
	windows    [channels]window
}

// load opens an entry, checks all of it, and reads its progress and the first
// recipients of each channel. A large body is checked only if it may have been
// on disk: what was written a moment ago would be read from memory.
func load(l queuedir.Layout, id queuedir.ID, hasInfo, check bool, routes *route.Table) (*loaded, error) {
	entry, err := queuedir.OpenEntry(l, id)
	if err != nil {
		return nil, err
	}
	if !hasInfo {
		return loadEntry(entry, nil, check, routes)
	}
	done := func(recipients int) (queuedir.Progress, error) { return progress.Read(l, id, recipients) }
	return loadEntry(entry, done, check, routes)
}

// loadEntry is load of an entry that is open; progress reads its progress file,
// nil if there is none. The entry is closed if it cannot be read.
func loadEntry(entry *queuedir.Entry, progress func(int) (queuedir.Progress, error), check bool, routes *route.Table) (*loaded, error) {
	got := &loaded{entry: entry, reading: &reading{routes: routes}}
	if err := got.read(progress, check); err != nil {
		entry.Close()
		return nil, err
	}
	return got, nil
}

func (got *loaded) read(progress func(int) (queuedir.Progress, error), check bool) error {
	if check && !got.entry.Footer.Inline { // an inline body is checked when it is handed out
		if err := got.entry.CheckBody(); err != nil {
			return err
		}
	}
	if progress != nil {
		// The number of recipients is needed to judge the progress.
		n, err := got.entry.CountRecipients()
		if err != nil {
			return err
		}
		if got.progress, err = progress(n); err != nil {
			return err
		}
	}
	return got.readEnvelope()
}

func (got *loaded) readEnvelope() error {
	envelope, err := got.entry.Envelope()
	if err != nil {
		return err
	}
	got.head = envelope.Head
	got.reading.sender = got.head.Sender.String()
	got.reading.verp = bounce.IsVERP(got.reading.sender)
	got.reading.changes = got.progress.Changes
	for ; ; got.recipients++ {
		recipient, err := envelope.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if got.progress.Finished != nil && got.progress.Finished.Has(got.recipients) {
			continue
		}
		c, rewritten, relay := got.reading.route(got.recipients, recipient.String())
		got.windows[c].add(got.reading, c, got.recipients, rewritten, relay, envelope.Facts)
	}
	if got.progress.Finished == nil {
		got.progress.Finished = queuedir.NewBitmap(got.recipients)
	}
	return nil
}

// cursor reads a pass's further windows. One reader uses it at a time.
type cursor struct {
	entry    *queuedir.Entry
	reading  *reading
	channel  channelID
	envelope *queuedir.EnvelopeReader
	index    int             // of the next recipient of envelope
	held     string          // rewritten recipient index-1, which did not fit; or ""
	relay    string          // of that
	facts    esmtp.Recipient // of that
}

// window returns the next recipients; from is where the first call begins.
func (c *cursor) window(from int) (window, error) {
	if c.envelope == nil {
		envelope, err := c.entry.Envelope()
		if err != nil {
			return window{}, err
		}
		c.envelope = envelope
	}
	var w window
	if c.held != "" {
		w.add(c.reading, c.channel, c.index-1, c.held, c.relay, c.facts)
		c.held = ""
	}
	for {
		recipient, err := c.envelope.Next()
		if err == io.EOF {
			return w, nil
		}
		if err != nil {
			return window{}, err
		}
		index := c.index
		c.index++
		if index < from || c.reading.skip.Has(index) {
			continue
		}
		to, rewritten, relay := c.reading.route(index, recipient.String())
		if to != c.channel {
			continue
		}
		if w.add(c.reading, to, index, rewritten, relay, c.envelope.Facts); w.more {
			c.held, c.relay, c.facts = rewritten, relay, c.envelope.Facts
			return w, nil
		}
	}
}
