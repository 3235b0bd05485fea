package smtpd

import (
	"strings"

	"postrider/internal/binarymime"
)

// newConverter prepares for a message with BODY=BINARYMIME, if there is memory
// for that. It is given back with the transaction.
func (s *session) newConverter() bool {
	if !s.lent.take(binarymime.Memory) {
		return false
	}
	s.converter = new(binarymime.Converter)
	return true
}

func (s *session) dropConverter() {
	if s.converter != nil {
		s.lent.give(binarymime.Memory)
		s.converter = nil
	}
}

// counted is the size that databytes bounds: what is stored, or, as base64 is
// our doing, what came.
func (m *incoming) counted() int64 {
	if m.converter != nil {
		return m.octets
	}
	return m.size
}

// asLines returns parameters of MAIL for those who get the message as the queue
// does: it is in lines then.
func asLines(parameters string) string {
	words := strings.Fields(parameters)
	for i, word := range words {
		if strings.EqualFold(word, "BODY="+bodyBinary) {
			words[i] = "BODY=8BITMIME"
		}
	}
	return strings.Join(words, " ")
}
