package qmtp

import (
	"crypto/rand"

	"postrider/internal/enqueue"
	"postrider/internal/esmtp"
	"postrider/internal/submitlink"
	"postrider/internal/wire/submit"
)

const (
	// maxKept is how much of a message is kept in memory, text and envelope:
	// one that is no larger goes to the spool in one piece at its end, and can
	// be sent again.
	maxKept = 64 << 10
	// firstKept is what a short message needs.
	firstKept = 4 << 10
)

// spoolSubmission is one message for qmail-spool.
type spoolSubmission struct {
	pool     *spool
	from     origin
	nonce    [16]byte
	text     []byte // not yet sent
	envelope []byte // not yet sent; none as long as text is sent
	frame    []byte // of the stream
	// stream has no file until the message is too large to be kept.
	stream submitlink.Connection
}

func newSpoolSubmission(p *spool, from origin) *spoolSubmission {
	s := &spoolSubmission{pool: p, from: from}
	_, _ = rand.Read(s.nonce[:]) // never fails
	return s
}

func (s *spoolSubmission) Write(p []byte) (int, error) {
	if err := s.add(&s.text, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *spoolSubmission) Sender(address string) error {
	err := s.record('F', address)
	if err == nil && s.from.trusted {
		err = s.record(esmtp.RecordOrigin, string(esmtp.FromClient))
	}
	if err == nil && s.from.client.IsValid() {
		err = s.record(esmtp.RecordClient, s.from.client.WithZone("").String())
	}
	return err
}

func (s *spoolSubmission) Recipient(address string) error { return s.record('T', address) }

func (s *spoolSubmission) record(letter byte, value string) error {
	record := make([]byte, 0, len(value)+2)
	record = append(append(append(record, letter), value...), 0)
	return s.add(&s.envelope, record)
}

// add keeps octets, or sends what is kept on its way to make room.
func (s *spoolSubmission) add(to *[]byte, p []byte) error {
	if s.keep(to, p) {
		return nil
	}
	if err := s.send(); err != nil {
		return err
	}
	if s.keep(to, p) {
		return nil
	}
	// Others hold all the memory there is.
	kind := byte(submit.Message)
	if to == &s.envelope {
		kind = submit.Envelope
	}
	return s.write(submit.AppendFrame(nil, kind, p))
}

// keep keeps octets if there is room for them.
func (s *spoolSubmission) keep(to *[]byte, p []byte) bool {
	if len(s.text)+len(s.envelope)+len(p) > maxKept {
		return false
	}
	need := len(*to) + len(p)
	if need <= cap(*to) {
		*to = append(*to, p...)
		return true
	}
	grown := min(maxKept, max(need, firstKept, 2*cap(*to)))
	if !s.pool.lent.take(grown - cap(*to)) {
		return false
	}
	*to = append(append(make([]byte, 0, grown), *to...), p...)
	return true
}

// send sends what is kept, over a connection that is the message's own now.
func (s *spoolSubmission) send() error {
	if s.stream.File == nil {
		if err := s.pool.link.Enter(s.from.client, s.from.trusted); err != nil {
			return err
		}
		c, err := s.pool.link.Connect()
		if err != nil {
			s.pool.link.Leave(s.from.client)
			return err
		}
		s.stream = c
	}
	s.frame = s.frames(s.frame[:0])
	s.text, s.envelope = s.text[:0], s.envelope[:0]
	return s.write(s.frame)
}

// write sends frames.
func (s *spoolSubmission) write(frames []byte) error {
	if err := s.stream.Send([][]byte{frames}); err != nil {
		return submitlink.Unavailable("write to qmail-spool", err)
	}
	return nil
}

// frames appends what is kept as it goes over the wire.
func (s *spoolSubmission) frames(b []byte) []byte {
	if len(s.text) > 0 {
		b = submit.AppendFrame(b, submit.Message, s.text)
	}
	if len(s.envelope) > 0 {
		b = submit.AppendFrame(b, submit.Envelope, s.envelope)
	}
	return b
}

// last returns the frames that end the message.
func (s *spoolSubmission) last() []byte {
	b := s.frames(nil)
	b = submit.AppendFrame(b, submit.Envelope, []byte{0}) // behind the last record
	return submit.AppendFrame(b, submit.Commit, s.nonce[:])
}

func (s *spoolSubmission) Commit() (string, error) {
	defer s.Abort() // frees what is held
	if s.stream.File != nil {
		answer, err := s.stream.Exchange([][]byte{s.last()})
		if err != nil {
			return "", err
		}
		return enqueue.Verdict(answer)
	}
	if err := s.pool.link.Turn(); err != nil {
		return "", err
	}
	defer s.pool.link.Done()
	answer, err := s.pool.link.Again(s.handIn)
	if err != nil {
		return "", err
	}
	return enqueue.Verdict(answer)
}

// handIn hands in a message that was kept. sent says that the spool may have it.
func (s *spoolSubmission) handIn() (answer submit.Answer, sent bool, err error) {
	c, err := s.pool.link.ConnectNow()
	if err != nil {
		return submit.Answer{}, false, err
	}
	defer c.File.Close() // the answer is all that counts
	answer, err = c.Exchange([][]byte{s.last()})
	return answer, true, err
}

// Abort drops a message that was not committed, and frees what it holds.
func (s *spoolSubmission) Abort() {
	s.pool.lent.give(cap(s.text) + cap(s.envelope))
	s.text, s.envelope, s.frame = nil, nil, nil
	if s.stream.File != nil {
		_ = s.stream.File.Close() // drops the unfinished message
		s.stream = submitlink.Connection{}
		s.pool.link.Leave(s.from.client)
	}
}
