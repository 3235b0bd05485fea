package queuedir

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"postrider/internal/address"
)

func FuzzFooter(f *testing.F) {
	f.Add(AppendFooter(nil, Footer{Inline: true, BodySize: 10, EnvelopeSize: 20, BodyCRC: 1}, 2))
	f.Add(AppendFooter(nil, Footer{BodySize: 1 << 40, EnvelopeSize: 20, BodyCRC: 1}, 2))
	f.Add([]byte("postrider entry 1 inline  body="))
	f.Add(make([]byte, FooterSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		footer, err := ParseFooter(b)
		if err != nil {
			if !errors.Is(err, ErrTorn) {
				t.Errorf("error %v", err)
			}
			return
		}
		if footer.BodySize < 0 || footer.EnvelopeSize < 0 || footer.Inline && footer.BodySize > MaxInlineBody {
			t.Errorf("impossible sizes: %+v", footer)
		}
		again := AppendFooter(nil, footer, 0)
		if !bytes.EqualFold(again[:footerPrefix], b[:footerPrefix]) {
			t.Errorf("%q reads as %q", b, again)
		}
	})
}

func seedEnvelope(recipients ...string) []byte {
	sender, _ := address.New("a@example.org")
	b := AppendHead(nil, Head{Sender: sender, UID: 1000, Arrived: time.UnixMicro(1795000000123456), Nonce: Nonce{1}})
	for _, r := range recipients {
		a, _ := address.New(r)
		b = AppendRecipient(b, a)
	}
	return b
}

// Whatever is read is taken, end to end and to the byte, or is an error; and
// never is an address made of what no address can be.
func FuzzEnvelope(f *testing.F) {
	f.Add(seedEnvelope())
	f.Add(seedEnvelope("b@example.net", "", "local"))
	f.Add([]byte("F\x00u0\x00a0\x00n\x00"))
	f.Add([]byte("Fa\x00T\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewEnvelopeReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			return
		}
		for {
			a, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("error %v", err)
				}
				return
			}
			if _, err := address.New(a.String()); err != nil {
				t.Errorf("recipient %q: %v", a, err)
			}
		}
	})
}
