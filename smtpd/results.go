package smtpd

import (
	"strings"

	"postrider/internal/authresults"
)

// newRemover is for a message in which nobody else may give results in our name
// (RFC 8601 section 5); nil: we have none.
func (s *session) newRemover() *authresults.Remover {
	if s.settings.authServID == "" {
		return nil
	}
	return authresults.NewRemover(s.settings.authServID)
}

// room is how many octets the text can take, without those that may be held
// back of it and the one of keepApart.
func (m *incoming) room() int {
	room := cap(m.text) - len(m.text) - 1
	if m.forged != nil {
		room -= authresults.MaxHeld
	}
	return room
}

// endResults takes what was held back to the end of a message that is a header.
func (m *incoming) endResults() {
	if m.forged == nil || m.dropped {
		return
	}
	before := len(m.text)
	m.text = m.forged.AppendEnd(m.text)
	m.judge(m.text[before:])
}

// appendResults appends Authentication-Results (RFC 8601), if there are some:
// that of SPF, and who has logged in.
func (s *session) appendResults(b []byte) []byte {
	if s.settings.authServID == "" {
		return b
	}
	result, checked := s.spfResult()
	user := s.loggedIn()
	if !checked && user == "" {
		return b
	}
	b = append(append(b, "Authentication-Results: "...), s.settings.authServID...)
	if checked {
		b = append(append(b, ";\n  spf="...), result.String()...)
		if s.sender == "" {
			b = appendResultValue(append(b, " smtp.helo="...), s.heloName)
		} else {
			b = appendResultValue(append(b, " smtp.mailfrom="...), s.sender)
		}
	}
	if user != "" {
		b = append(append(append(b, ";\n  auth=pass ("...), strings.ToLower(s.login.method)...), ") smtp.auth="...)
		b = appendResultValue(b, user)
	}
	return append(b, '\n')
}

// appendResultValue appends a value, in quotes where it may need them.
func appendResultValue(b []byte, value string) []byte {
	for i := range len(value) {
		c := value[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' || c == '+' || c == '@' && i > 0) {
			return append(appendQuoted(append(b, '"'), value), '"')
		}
	}
	if value == "" {
		return append(b, `""`...)
	}
	return append(b, value...)
}
