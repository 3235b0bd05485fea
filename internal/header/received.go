package header

import (
	"strings"
	"time"

	"postrider/internal/maildate"
)

// Received is what the Received line of a message from the network says (spec
// section 6.4). All of it may come from a stranger.
type Received struct {
	Host     string // the client's name
	Helo     string // how it called itself; shown if it differs from Host
	HasHelo  bool
	IP       string
	Info     string // shown in front of IP
	HasInfo  bool
	By       string // us
	Protocol string
}

// maxPart is the most octets of each part of the line: a domain has no more
// (RFC 1035 section 2.3.4). So the line fits into what daemons lend for it.
const maxPart = 255

// Append appends the line, in which no part is longer than maxPart.
func (r *Received) Append(b []byte, now time.Time) []byte {
	b = append(b, "Received: from "...)
	b = appendPart(b, r.Host)
	if r.HasHelo && !strings.EqualFold(r.Helo, r.Host) {
		b = append(b, " (HELO "...)
		b = appendPart(b, r.Helo)
		b = append(b, ')')
	}
	b = append(b, " ("...)
	if r.HasInfo {
		b = appendPart(b, r.Info)
		b = append(b, '@')
	}
	b = appendPart(b, r.IP)
	b = append(b, ")\n  by "...)
	b = appendPart(b, r.By)
	b = append(append(append(b, " with "...), r.Protocol...), "; "...)
	b = append(b, maildate.Header(now)...)
	return append(b, '\n')
}

func appendPart(b []byte, s string) []byte { return AppendSafe(b, s[:min(len(s), maxPart)]) }

// AppendSafe appends s with "?" for whatever could mean something in a header
// (spec section 0.3).
func AppendSafe(b []byte, s string) []byte {
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
