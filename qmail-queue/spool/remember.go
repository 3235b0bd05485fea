package spool

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"postrider/internal/queuedir"
)

const (
	// rememberAge is how old an entry may be whose submitter may still come
	// again: he lost the answer when the process before us died, and that is
	// long over when the entry is older.
	rememberAge = 5 * time.Minute
	// rememberBytes bounds what is read for it at the start.
	rememberBytes = 64 << 20
	// rememberEntry is the largest entry, without a body of its own file,
	// that is read whole.
	rememberEntry = 1 << 20
)

// foundAnswered tells whether the former process left nobody without an
// answer: then what came last need not be read. The mark goes with the other
// files in tmp/, before anybody is served.
func (s *Store) foundAnswered() bool {
	_, err := s.tree.Stat(layout.Answered())
	return err == nil // whatever the error: reading is always right
}

// leaveAnswered tells the next process that all is answered. It need not be
// durable: no submitter outlives a power cut.
func (s *Store) leaveAnswered() {
	f, err := s.tree.Create(layout.Answered(), 0o600)
	if err == nil {
		_ = f.Close() // nothing was written
	}
}

// rememberOthers puts the nonces of the youngest entries into memory, before
// one of them can be delivered and removed: the process that committed them
// may have died before it answered. What cannot be read or is not whole is not
// remembered; then a message that is submitted again becomes two, and none is
// lost. It returns how many entries are that young.
func (s *Store) rememberOthers() int {
	ids, err := s.youngest(s.clock.Now().Add(-rememberAge))
	keys := make(map[queuedir.ID]nonceKey, len(ids))
	left := int64(rememberBytes)
	for _, id := range ids {
		key, size, readErr := s.readNonce(id, left)
		if readErr == nil {
			keys[id] = key
		} else if err == nil && !isUnusable(readErr) {
			err = readErr
		}
		if left -= size; left <= 0 {
			break
		}
	}
	if err != nil {
		s.log("warning: messages that are submitted again may come twice: " + firstLine(err))
	}
	for _, id := range slices.Backward(ids) {
		if key, found := keys[id]; found {
			s.recent.claim(key)
			s.recent.fulfil(key, id)
		}
	}
	return len(ids)
}

// isUnusable says that an entry is gone or broken, which others deal with.
func isUnusable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, queuedir.ErrTorn) || errors.Is(err, queuedir.ErrDamaged)
}

// youngest returns the last entries that were born since a time, the youngest
// first, and no more than there is memory for.
func (s *Store) youngest(since time.Time) ([]queuedir.ID, error) {
	var ids []queuedir.ID
	var trouble error
	for i := range queuedir.Buckets {
		err := s.each(layout.NewDir(queuedir.BucketName(i)), func(name string) error {
			id, ok := idOf(name)
			if ok && !strings.HasSuffix(name, queuedir.BodySuffix) && !id.Time().Before(since) {
				ids = append(ids, id)
			}
			return nil
		})
		trouble = errors.Join(trouble, err)
	}
	slices.SortFunc(ids, func(a, b queuedir.ID) int { return bytes.Compare(b[:], a[:]) })
	return ids[:min(len(ids), rememberedNonces)], trouble
}

// readNonce reads the nonce of an entry that is whole, and says how many bytes
// it took. After a power cut an entry may be torn that nobody was told of: its
// submitter must not be told that it is here.
func (s *Store) readNonce(id queuedir.ID, limit int64) (key nonceKey, size int64, err error) {
	f, err := s.tree.Open(layout.Entry(id))
	if err != nil {
		return key, 0, err
	}
	defer f.Close() // only read from
	info, err := f.Info()
	if err != nil {
		return key, 0, err
	}
	if info.Size > limit || info.Size > rememberEntry || info.Size < int64(queuedir.FooterSize) {
		return key, 0, queuedir.ErrTorn // for all that we know
	}
	raw := make([]byte, info.Size)
	if _, err := f.ReadAt(raw, 0); err != nil && err != io.EOF {
		return key, info.Size, err
	}
	footer, envelope, err := wholeEntry(raw)
	if err == nil && !footer.Inline {
		size, err = s.checkBody(id, footer, limit-info.Size)
	}
	if err != nil {
		return key, info.Size + size, err
	}
	r, err := queuedir.NewEnvelopeReader(bytes.NewReader(envelope))
	if err != nil {
		return key, info.Size + size, err
	}
	return nonceKey{r.Head.Nonce, r.Head.UID}, info.Size + size, nil
}

// wholeEntry checks an entry, and its body if that is in it.
func wholeEntry(raw []byte) (queuedir.Footer, []byte, error) {
	end := raw[len(raw)-queuedir.FooterSize:]
	footer, err := queuedir.ParseFooter(end)
	if err != nil {
		return footer, nil, err
	}
	inline := int64(0)
	if footer.Inline {
		inline = footer.BodySize
	}
	envelopeEnd := int64(len(raw) - queuedir.FooterSize)
	if inline < 0 || inline > envelopeEnd || envelopeEnd-inline != footer.EnvelopeSize {
		return footer, nil, queuedir.ErrTorn
	}
	envelope := raw[inline:envelopeEnd]
	checkedEnd := queuedir.FooterSize - len("01234567\n") // what precedes the checksum itself
	if queuedir.Checksum(queuedir.Checksum(0, envelope), end[:checkedEnd]) != footer.CRC ||
		footer.Inline && queuedir.Checksum(0, raw[:inline]) != footer.BodyCRC {
		return footer, nil, queuedir.ErrTorn
	}
	return footer, envelope, nil
}

// checkBody checks a body that is a file of its own.
func (s *Store) checkBody(id queuedir.ID, footer queuedir.Footer, limit int64) (size int64, err error) {
	if footer.BodySize > limit {
		return 0, queuedir.ErrTorn // for all that we know
	}
	f, err := s.tree.Open(layout.Body(id))
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read from
	crc, buf := uint32(0), make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(buf, size)
		crc, size = queuedir.Checksum(crc, buf[:n]), size+int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return size, err
		}
	}
	if size != footer.BodySize || crc != footer.BodyCRC {
		return size, queuedir.ErrTorn
	}
	return size, nil
}
