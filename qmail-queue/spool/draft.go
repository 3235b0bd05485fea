package spool

import (
	"time"

	"postrider/internal/address"
	"postrider/internal/durable"
	"postrider/internal/esmtp"
	"postrider/internal/maildate"
	"postrider/internal/precedence"
	"postrider/internal/queuedir"
)

const (
	// maxEnvelopeMemory is how much of an envelope is kept in memory.
	maxEnvelopeMemory = 64 << 10
	// flushEvery bounds the dirty pages of one large message, to twice as much:
	// the syncs of everybody else would have to wait for them.
	flushEvery = 2 << 20
	// entryMode lets the scheduler's group read.
	entryMode = 0o640
)

// origin is who submits.
type origin struct {
	uid  uint32
	text string // of the Received line: "by uid 1000", "from network" ...
	// knowsUsers says that it has checked who sends: the records of user, origin
	// and client are for nobody else.
	knowsUsers bool
	// makesRoom says that a message of theirs ends another one: it is taken
	// into a full queue.
	makesRoom bool
	// via is the way by which it comes, a place in figures.Ways.
	via int
}

// fromNetwork is the text of mail that a daemon, or a qmail-smtpd under
// tcpserver, has from the network.
const fromNetwork = "from network"

// facts are those that a message has before its envelope is read.
func (o origin) facts() esmtp.Message {
	if o.text == fromNetwork { // a record says, or nobody
		return esmtp.Message{}
	}
	return esmtp.Message{Origin: esmtp.FromHere}
}

// draft is a message that is being received. Its body is in memory until it is
// too large or memory is short, then in a file in tmp/; so is its envelope.
type draft struct {
	s      *Store
	id     queuedir.ID
	from   origin
	birth  time.Time
	ticket durable.Ticket

	mem      []byte // the body, while bodyFile is nil
	bodyFile durable.File
	bodyName string
	bodySize int64
	bodyCRC  uint32
	dirty    int64 // bytes written since the last flush
	header   precedence.Look
	begun    bool // text of the submitter's was written

	env     envelope
	rcpt    []byte // records in memory; with entry not nil those not yet written
	entry   durable.File
	rcptLen int64 // bytes of recipient records in the entry

	reserved int // memory taken from the budget
}

// begin starts a message; its first line is ours.
func (s *Store) begin(from origin) (*draft, error) {
	now := s.clock.Now()
	d := &draft{s: s, id: s.newID(now), from: from, birth: now, ticket: s.group.Begin()}
	d.env.recipient, d.env.knowsUsers, d.env.facts = d.addRecipient, from.knowsUsers, from.facts()
	received := "Received: (qmail " + d.id.String() + " invoked " + from.text + "); " + maildate.Header(now) + "\n"
	if err := d.writeBody([]byte(received)); err != nil {
		d.abort()
		return nil, err
	}
	return d, nil
}

// writeText takes the next piece of the submitter's text. White space at its
// beginning would make it a part of our line; an empty line keeps it apart.
func (d *draft) writeText(p []byte) error {
	if !d.begun && len(p) > 0 {
		d.begun = true
		if p[0] == ' ' || p[0] == '\t' {
			if err := d.writeBody([]byte{'\n'}); err != nil {
				return err
			}
		}
	}
	return d.writeBody(p)
}

// writeBody takes the next piece of the message.
func (d *draft) writeBody(p []byte) error {
	if d.bodyFile == nil && (d.bodySize+int64(len(p)) > queuedir.MaxInlineBody || !d.room(&d.mem, len(p))) {
		if err := d.spillBody(); err != nil {
			return err
		}
	}
	d.bodySize += int64(len(p))
	d.bodyCRC = queuedir.Checksum(d.bodyCRC, p)
	_, _ = d.header.Write(p) // there are no errors
	if d.bodyFile == nil {
		d.mem = append(d.mem, p...)
		return nil
	}
	return d.appendToBody(p)
}

// room makes place for n more bytes in *b, within the budget.
func (d *draft) room(b *[]byte, n int) bool {
	need := len(*b) + n
	if need <= cap(*b) {
		return true
	}
	size := max(2*cap(*b), need, 4<<10)
	if !d.s.memory.take(size - cap(*b)) {
		return false
	}
	d.reserved += size - cap(*b)
	grown := make([]byte, len(*b), size)
	copy(grown, *b)
	*b = grown
	return true
}

func (d *draft) spillBody() error {
	name := d.tmpName() + queuedir.BodySuffix
	f, err := d.s.tree.Create(name, entryMode)
	if err != nil {
		return writeTrouble(err)
	}
	d.bodyFile, d.bodyName = f, name
	err = d.appendToBody(d.mem)
	d.s.memory.give(cap(d.mem))
	d.reserved -= cap(d.mem)
	d.mem = nil
	return err
}

func (d *draft) tmpName() string { return layout.Tmp() + "/" + d.id.String() }

func (d *draft) appendToBody(p []byte) error {
	if _, err := d.bodyFile.Write(p); err != nil {
		return writeTrouble(err)
	}
	if d.dirty += int64(len(p)); d.dirty < flushEvery {
		return nil
	}
	d.dirty = 0
	if err := d.bodyFile.Flush(); err != nil {
		return writeTrouble(err)
	}
	return nil
}

// outside reports whether the body is a file of its own.
func (d *draft) outside() bool { return d.bodySize > queuedir.MaxInlineBody }

// inlineSize is where the envelope begins in the entry.
func (d *draft) inlineSize() int64 {
	if d.outside() {
		return 0
	}
	return d.bodySize
}

// writeEnvelope takes the next piece of the envelope, after the whole message.
func (d *draft) writeEnvelope(p []byte) error { return d.env.write(p) }

func (d *draft) addRecipient(a address.Address, facts esmtp.Recipient) error {
	records := facts.Append(nil)
	n := len(records) + len(a.String()) + 2
	if len(d.rcpt)+n > maxEnvelopeMemory || !d.room(&d.rcpt, n) {
		if err := d.spillEnvelope(); err != nil {
			return err
		}
	}
	d.rcpt = queuedir.AppendRecipient(append(d.rcpt, records...), a)
	return nil
}

// spillEnvelope writes the recipients so far behind the place of the head,
// whose nonce is not known yet but whose length is.
func (d *draft) spillEnvelope() error {
	if d.entry == nil {
		if err := d.createEntry(); err != nil {
			return err
		}
		if err := d.writeEntry(d.head(queuedir.Nonce{})); err != nil {
			return err
		}
	}
	if err := d.writeEntry(d.rcpt); err != nil {
		return err
	}
	d.rcptLen += int64(len(d.rcpt))
	d.rcpt = d.rcpt[:0]
	return nil
}

// createEntry makes the entry's file, with the body if that belongs there.
func (d *draft) createEntry() error {
	if d.bodyFile != nil && !d.outside() {
		d.entry = d.bodyFile // written early for lack of memory, small after all
		return nil
	}
	f, err := d.s.tree.Create(d.tmpName(), entryMode)
	if err != nil {
		return writeTrouble(err)
	}
	d.entry = f
	return d.writeEntry(d.mem)
}

func (d *draft) writeEntry(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := d.entry.Write(p); err != nil {
		return writeTrouble(err)
	}
	return nil
}

func (d *draft) head(nonce queuedir.Nonce) []byte {
	return queuedir.AppendHead(nil, queuedir.Head{
		Sender: d.env.sender, UID: d.from.uid, Arrived: d.birth, Nonce: nonce, Facts: d.env.facts, Bulk: d.header.Bulk(),
	})
}

// entryName is what the entry's file is called in tmp/.
func (d *draft) entryName() string {
	if d.entry != nil && d.entry == d.bodyFile {
		return d.bodyName
	}
	return d.tmpName()
}

// finish completes the files in tmp/. It returns the envelope as it is on
// disk if it was in memory.
func (d *draft) finish(nonce queuedir.Nonce) (env []byte, err error) {
	if err := d.env.complete(); err != nil {
		return nil, err
	}
	head := d.head(nonce)
	footer := queuedir.Footer{Inline: !d.outside(), BodySize: d.bodySize, BodyCRC: d.bodyCRC}
	if d.entry != nil {
		return nil, d.finishStreamed(head, footer)
	}
	env = append(head, d.rcpt...)
	footer.EnvelopeSize = int64(len(env))
	tail := queuedir.AppendFooter(env, footer, queuedir.Checksum(0, env))
	if d.bodyFile != nil && !d.outside() {
		d.entry = d.bodyFile
		return env, d.writeEntry(tail)
	}
	f, err := d.s.tree.Create(d.tmpName(), entryMode)
	if err != nil {
		return nil, writeTrouble(err)
	}
	d.entry = f
	if d.bodyFile == nil {
		tail = append(d.mem, tail...)
	}
	return env, d.writeEntry(tail)
}

// finishStreamed is finish for an envelope that is in the entry already: its
// head is written over with the nonce in it.
func (d *draft) finishStreamed(head []byte, footer queuedir.Footer) error {
	if err := d.spillEnvelope(); err != nil {
		return err
	}
	start := d.inlineSize()
	if _, err := d.entry.WriteAt(head, start); err != nil {
		return writeTrouble(err)
	}
	footer.EnvelopeSize = int64(len(head)) + d.rcptLen
	crc, err := checksum(d.entry, start, footer.EnvelopeSize)
	if err != nil {
		return writeTrouble(err)
	}
	return d.writeEntry(queuedir.AppendFooter(nil, footer, crc))
}

// checksum reads size bytes from off again.
func checksum(f durable.File, off, size int64) (uint32, error) {
	var crc uint32
	buf := make([]byte, 16<<10)
	for size > 0 {
		n, err := f.ReadAt(buf[:min(size, int64(len(buf)))], off)
		if n == 0 && err != nil {
			return 0, err
		}
		crc = queuedir.Checksum(crc, buf[:n])
		off += int64(n)
		size -= int64(n)
	}
	return crc, nil
}

// free gives the memory back.
func (d *draft) free() {
	d.s.memory.give(d.reserved)
	d.reserved, d.mem, d.rcpt = 0, nil, nil
}

// abort gives up a message that is still in tmp/.
func (d *draft) abort() {
	d.free()
	var names []string
	if d.entry != nil && d.entry != d.bodyFile {
		_ = d.entry.Close() // abandoned
		names = append(names, d.tmpName())
	}
	if d.bodyFile != nil {
		_ = d.bodyFile.Close() // abandoned
		names = append(names, d.bodyName)
	}
	d.s.doom(d.id, names...)
}
