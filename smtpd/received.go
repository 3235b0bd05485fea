package smtpd

import (
	"strings"
	"time"

	"postrider/internal/maildate"
)

// appendReceived appends the Received line (spec section 6.4). HELO is shown
// only if it differs from the name of the host.
func (s *session) appendReceived(b []byte, now time.Time) []byte {
	b = append(b, "Received: from "...)
	b = appendHeaderSafe(b, s.peer.host)
	if s.greeted && !strings.EqualFold(s.heloName, s.peer.host) {
		b = append(b, " (HELO "...)
		b = appendHeaderSafe(b, s.heloName)
		b = append(b, ')')
	}
	b = append(b, " ("...)
	if s.peer.hasInfo {
		b = appendHeaderSafe(b, s.peer.info)
		b = append(b, '@')
	}
	b = appendHeaderSafe(b, s.peer.ip)
	b = append(b, ")\n  by "...)
	b = appendHeaderSafe(b, s.peer.local)
	b = append(append(append(b, " with "...), s.protocol()...), "; "...)
	b = append(b, maildate.Header(now)...)
	return append(b, '\n')
}

// appendHeaderSafe appends s with "?" for whatever could mean something in a
// header (spec section 0.3).
func appendHeaderSafe(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(".@%+/=:-[]", c) >= 0:
		default:
			c = '?'
		}
		b = append(b, c)
	}
	return b
}
