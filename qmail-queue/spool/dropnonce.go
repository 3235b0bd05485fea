package spool

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
)

// lateDrop is how long after our start a submitter may still leave a message
// whose commit it sent to the process before us.
const lateDrop = time.Minute

// mustSearch tells whether the message may already be an entry that a former
// process committed, and notes what to look for. Entries of our own are in
// the store's memory.
func (p *pass) mustSearch(footer queuedir.DropFooter, info durable.Info) bool {
	if p.checked[footer.Nonce] || info.ChangeTime.After(p.begun.Add(lateDrop)) {
		return false
	}
	if len(p.pending) < maxPendingNonces {
		p.pending[footer.Nonce] = true
		if info.ChangeTime.Before(p.oldest) {
			p.oldest = info.ChangeTime
		}
	}
	return true
}

// search looks for nonces in the entries born since a time, and remembers
// which it found.
func (b *dropbox) search(nonces map[queuedir.Nonce]bool, since time.Time) error {
	b.found = make(map[nonceKey]bool)
	var trouble error
	for i := range queuedir.Buckets {
		err := b.store.each(layout.NewDir(queuedir.BucketName(i)), func(name string) error {
			id, ok := idOf(name)
			if !ok || strings.HasSuffix(name, queuedir.BodySuffix) || id.Time().Before(since) {
				return nil
			}
			return b.compare(id, nonces)
		})
		trouble = errors.Join(trouble, err)
	}
	if trouble == nil {
		b.checked = nonces
	}
	return trouble
}

func (b *dropbox) compare(id queuedir.ID, nonces map[queuedir.Nonce]bool) error {
	f, err := b.store.tree.Open(layout.Entry(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	head, err := readHead(f)
	switch {
	case errors.Is(err, queuedir.ErrTorn), errors.Is(err, queuedir.ErrDamaged):
		return nil // the scheduler will say so
	case err != nil:
		return err
	}
	if !nonces[head.Nonce] {
		return nil
	}
	// After a power cut it may be torn behind its first records, and what is in
	// drop/ is all there is.
	key, _, err := b.store.readNonce(id, math.MaxInt64)
	switch {
	case err == nil:
		b.found[key] = true
	case !isUnusable(err):
		return err
	}
	return nil
}

// readHead reads the first records of an entry's envelope.
func readHead(f durable.File) (queuedir.Head, error) {
	info, err := f.Info()
	if err != nil {
		return queuedir.Head{}, err
	}
	raw := make([]byte, queuedir.FooterSize)
	if info.Size < int64(len(raw)) {
		return queuedir.Head{}, queuedir.ErrTorn
	}
	if _, err := f.ReadAt(raw, info.Size-int64(len(raw))); err != nil && err != io.EOF {
		return queuedir.Head{}, err
	}
	footer, err := queuedir.ParseFooter(raw)
	if err != nil {
		return queuedir.Head{}, err
	}
	start := int64(0)
	if footer.Inline {
		start = footer.BodySize
	}
	r, err := queuedir.NewEnvelopeReader(io.NewSectionReader(f, start, footer.EnvelopeSize))
	if err != nil {
		return queuedir.Head{}, err
	}
	return r.Head, nil
}
