package policy

import (
	"net/netip"
	"time"

	"postrider/internal/wire/codec"
)

// question is one of them, decoded.
type question struct {
	kind      byte
	client    netip.Addr
	zones     []string
	helo      string
	sender    string
	recipient string
	delay     time.Duration // whole seconds
}

func (q question) append(b []byte) ([]byte, error) {
	if !q.client.IsValid() || len(q.zones) > MaxZones || len(q.helo) > MaxHelo ||
		q.delay < 0 || q.delay > MaxDelay*time.Second || q.delay%time.Second != 0 {
		return nil, errForm
	}
	addr := q.client.Unmap().WithZone("").AsSlice()
	b = append(b, q.kind, byte(len(addr)))
	b = append(b, addr...)
	switch q.kind {
	case kindLists:
		b = codec.AppendUint16(b, uint16(len(q.zones)))
		for _, z := range q.zones {
			b = codec.AppendString(b, z)
		}
	case kindSender:
		b = codec.AppendString(codec.AppendString(b, q.helo), q.sender)
	case kindGrey:
		b = codec.AppendUint32(b, uint32(q.delay/time.Second))
		b = codec.AppendString(codec.AppendString(b, q.sender), q.recipient)
	}
	return b, nil
}

func parseQuestion(b []byte) (q question, err error) {
	r := codec.NewReader(b)
	q.kind = r.Uint8()
	q.client = parseAddress(r, int(r.Uint8()))
	switch q.kind {
	case kindLists:
		n := int(r.Uint16())
		if n == 0 || n > MaxZones {
			r.Fail(errForm)
		}
		for range n {
			if r.Err() != nil {
				break
			}
			zone := r.String(MaxZone)
			if zone == "" {
				r.Fail(errForm)
			}
			q.zones = append(q.zones, zone)
		}
	case kindName:
	case kindSender:
		q.helo, q.sender = r.String(MaxHelo), r.String(maxPath)
	case kindGrey:
		seconds := r.Uint32()
		if seconds > MaxDelay {
			r.Fail(errForm)
		}
		q.delay = time.Duration(seconds) * time.Second
		q.sender, q.recipient = r.String(maxPath), r.String(maxPath)
	default:
		r.Fail(errForm)
	}
	return q, r.Done()
}

// parseAddress takes an address of n bytes. An IPv4 address has one form.
func parseAddress(r *codec.Reader, n int) netip.Addr {
	if n != 4 && n != 16 {
		r.Fail(errForm)
		return netip.Addr{}
	}
	addr, ok := netip.AddrFromSlice(r.Bytes(n))
	if !ok || addr.Is4In6() {
		r.Fail(errForm)
	}
	return addr
}
