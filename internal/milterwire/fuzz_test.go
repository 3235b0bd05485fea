package milterwire

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postrider/internal/milterwire/miltertest"
)

// spoken is a link to a milter that says all at once, whatever it is told.
type spoken struct{ *bytes.Reader }

func (spoken) Write(p []byte) (int, error) { return len(p), nil }
func (spoken) SetDeadline(time.Time) error { return nil }

// FuzzMilter has a milter say anything: it ends, and what it wants is harmless.
func FuzzMilter(f *testing.F) {
	usual := append(miltertest.Options(0), bytes.Repeat(miltertest.Continue, 8)...)
	f.Add(append(usual, miltertest.Packets(pkt('h', "X\x00a\r\nb\x00"), pkt('b', "x"), pkt('+', "<a@b>\x00"), pkt('c', ""))...))
	f.Add(append(miltertest.Options(0), miltertest.Packets(pkt('y', "550-5.1.1 a\r\n550 5.1.1 b\x00"))...))
	f.Add(append(miltertest.Options(canSkip|silentMail|noData), miltertest.Packets(pkt('p', ""), pkt('a', ""))...))
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := Open(spoken{bytes.NewReader(said)}, time.Second)
		if err != nil {
			return
		}
		var body bytes.Buffer
		changes, _, a, err := converse(c, &body)
		if err != nil {
			return
		}
		if a.Verdict == Refuse {
			r := a.Reply
			if r.Code < 400 || r.Code > 599 || r.Enhanced == "" || int(r.Enhanced[0]-'0') != r.Code/100 || strings.ContainsFunc(r.Text, func(c rune) bool { return c != '\n' && (c < ' ' || c > '~') }) {
				t.Errorf("reply %+v", r)
			}
		}
		for _, c := range changes {
			for i, line := range strings.Split(c.Value, "\n") {
				if strings.Contains(line, "\r") || i > 0 && strings.TrimLeft(line, " \t") == line {
					t.Errorf("value %q", c.Value)
				}
			}
			if strings.ContainsAny(c.Name, ":\r\n ") || strings.ContainsAny(c.Address, "\r\n\x00") {
				t.Errorf("change %+v", c)
			}
		}
		if body.Len() > len(said) {
			t.Errorf("a body of %d bytes out of %d", body.Len(), len(said))
		}
	})
}
