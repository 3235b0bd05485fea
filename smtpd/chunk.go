package smtpd

import (
	"strings"

	"postrider/internal/binarymime"
	"postrider/internal/smtpwire"
)

// smallChunk is how many octets a chunk needs to count as progress: smaller
// ones are bounded like commands that bring no mail nearer.
const smallChunk = 1 << 10

// chunk is what a BDAT command announced (RFC 3030 section 2).
type chunk struct {
	left    int64 // octets that are still to come
	last    bool
	refused reply // its octets are read and forgotten, and this is the answer
}

// bdat notes what BDAT announces. The octets that follow belong to it whether
// it is in order or not (R34): the zero reply says that readChunk is next. Only
// where their number is not known does the session end.
func (s *session) bdat(argument string) reply {
	words := strings.Fields(argument)
	if len(words) == 0 {
		return replyChunkSize
	}
	size, ok := parseChunkSize(words[0])
	if !ok {
		return replyChunkSize
	}
	s.chunk = chunk{left: size}
	switch {
	case len(words) == 2 && strings.EqualFold(words[1], "LAST"):
		s.chunk.last = true
	case len(words) > 1:
		s.chunk.refused = replyChunkWord
		return reply{}
	}
	s.chunk.refused = s.beginChunk()
	return reply{}
}

// parseChunkSize reads the size of a chunk; 20 digits are the largest number of
// 64 bits.
func parseChunkSize(s string) (int64, bool) {
	size, ok := parseSize(s)
	return size, ok && size < 1<<62
}

// beginChunk reports why the chunk is refused; the zero reply is consent. A
// message whose first chunk could not be taken is refused to its end.
func (s *session) beginChunk() reply {
	switch s.state {
	case ready:
		return replyMailFirst
	case mail:
		return replyRcptFirst
	case rcpt:
		s.failed = s.beginText()
		if s.failed.code == 0 && s.binary && !s.newConverter() {
			s.failed = replyNoRoom
		}
		s.state = chunks
		if s.failed.code == 0 {
			s.newIncoming()
		}
	}
	return s.failed
}

// readChunk reads the octets of the chunk and answers it.
func (s *session) readChunk() (reply, error) {
	m := &s.incoming
	if s.chunk.refused.code != 0 {
		m = &incoming{session: s, dropped: true, pace: newPace()}
	}
	if s.chunk.left > int64(len(s.in.unused())) {
		s.in.widen() // without memory it takes more reads
	}
	small := s.chunk.left < smallChunk
	for s.chunk.left > 0 {
		if len(s.in.unused()) == 0 {
			if err := m.read(); err != nil {
				return m.interrupted(err)
			}
		}
		piece := s.in.unused()
		piece = piece[:min(int64(len(piece)), s.chunk.left)]
		m.takeChunk(piece)
		s.in.use(len(piece))
		s.chunk.left -= int64(len(piece))
	}
	return s.endChunk(m, small), nil
}

// endChunk answers a chunk that was read.
func (s *session) endChunk(m *incoming, small bool) reply {
	r := s.chunk.refused
	switch {
	case r == replyMailFirst, r == replyRcptFirst, r == replyChunkWord:
		return r // it was no part of a message
	case r.code == 0 && s.chunk.last:
		m.endChunks()
		r = m.finish()
	case r.code == 0 && m.dropped:
		s.failed = m.verdict()
		r = s.failed
	case r.code == 0:
		r = chunkReply(m.octets, small)
	}
	if s.chunk.last {
		s.reset()
	}
	return r
}

// takeChunk decodes a piece of a chunk.
func (m *incoming) takeChunk(piece []byte) {
	m.octets += int64(len(piece))
	for len(piece) > 0 && !m.dropped {
		room := m.chunkRoom()
		if room <= 0 {
			m.makeRoom()
			continue
		}
		part := piece[:min(len(piece), room)]
		before := len(m.text)
		if m.converter != nil {
			m.text = m.converter.Append(m.text, part)
		} else {
			m.text = m.chunks.Append(m.text, part)
		}
		m.inspect(before)
		piece = piece[len(part):]
	}
}

// endChunks completes the last line.
func (m *incoming) endChunks() {
	if m.dropped {
		return
	}
	for m.converter != nil && m.room() < binarymime.MaxHeld {
		if m.makeRoom(); m.dropped {
			return
		}
	}
	before := len(m.text)
	if m.converter != nil {
		m.text = m.converter.AppendEnd(m.text)
	} else {
		m.text = m.chunks.AppendEnd(m.text)
	}
	m.inspect(before)
}

// chunkRoom is how many octets of a chunk the buffer can take.
func (m *incoming) chunkRoom() int {
	room := m.room()
	if m.converter != nil {
		return (room - binarymime.MaxHeld) / 2
	}
	return room - smtpwire.MaxHeld
}
