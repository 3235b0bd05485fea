package manage

import (
	"fmt"

	"postrider/internal/wire/codec"
)

// Standing is how a destination stands.
type Standing byte

// The standings.
const (
	Well   Standing = 'w'
	Slowed Standing = 's' // less goes there, because its hosts want that
	Down   Standing = 'd' // one message at a time asks whether somebody is there
)

// Destination is what qmail-send knows of the hosts that take the mail of some
// domains.
type Destination struct {
	Name     string // names of hosts, a pattern of control/destinations, or a domain
	Domains  uint32 // that are known to go there
	Standing Standing
	Waiting  uint32 // messages that wait for it
	// Jobs are connections that are in use, for so many deliveries; Window is
	// how many there may be now, Limit what control/destinations allows, 0: all.
	Jobs, Deliveries, Window, Limit uint16
	Distance                        uint32 // of messages now, in milliseconds
	Rate                            string // as in control/destinations
	Since                           int64  // it stands so, in seconds since 1970
	Next                            int64  // nothing goes before; 0: it may now
	Reason                          string // what its hosts said; up to 300 bytes
}

// Limits of what is said of a destination.
const (
	maxDestinations = 2000 // a packet
	maxName         = 512
	maxRateWord     = 20
)

// sendable returns d cut to the limits.
func (d Destination) sendable() Destination {
	d.Name = d.Name[:min(len(d.Name), maxName)]
	d.Rate = d.Rate[:min(len(d.Rate), maxRateWord)]
	d.Reason = said(d.Reason)
	return d
}

func (d Destination) size() int {
	d = d.sendable()
	return codec.StringSize(d.Name) + 4 + 1 + 4 + 4*2 + 4 + codec.StringSize(d.Rate) + 2*8 + codec.StringSize(d.Reason)
}

// DestinationsFit returns how many of the first fit into a packet, which are
// always fewer than maxDestinations.
func DestinationsFit(all []Destination) int {
	size := 3
	for i, d := range all {
		if size += d.size(); size > MaxPacket {
			return i
		}
	}
	return len(all)
}

// AppendDestinations appends a packet of destinations, which DestinationsFit must
// allow.
func AppendDestinations(b []byte, all []Destination) []byte {
	b = codec.AppendUint16(append(b, Destinations), uint16(len(all)))
	for _, d := range all {
		d = d.sendable()
		b = codec.AppendString(b, d.Name)
		b = codec.AppendUint32(b, d.Domains)
		b = codec.AppendUint32(append(b, byte(d.Standing)), d.Waiting)
		for _, n := range []uint16{d.Jobs, d.Deliveries, d.Window, d.Limit} {
			b = codec.AppendUint16(b, n)
		}
		b = codec.AppendString(codec.AppendUint32(b, d.Distance), d.Rate)
		b = codec.AppendUint64(codec.AppendUint64(b, uint64(d.Since)), uint64(d.Next))
		b = codec.AppendString(b, d.Reason)
	}
	return b
}

func decodeDestinations(r *codec.Reader) (all []Destination) {
	for range count(r, maxDestinations) {
		d := Destination{Name: r.String(maxName), Domains: r.Uint32(), Standing: Standing(r.Uint8()), Waiting: r.Uint32(),
			Jobs: r.Uint16(), Deliveries: r.Uint16(), Window: r.Uint16(), Limit: r.Uint16(),
			Distance: r.Uint32(), Rate: r.String(maxRateWord), Since: int64(r.Uint64()), Next: int64(r.Uint64()), Reason: r.String(maxSaid)}
		if d.Standing != Well && d.Standing != Slowed && d.Standing != Down {
			r.Fail(fmt.Errorf("unknown standing %q", byte(d.Standing)))
		}
		if r.Err() != nil {
			return nil
		}
		all = append(all, d)
	}
	return all
}

// Destinations calls visit with the destinations that qmail-send knows, some at a
// time.
func (c *Client) Destinations(visit func([]Destination) error) error {
	return c.ask(Question{Kind: Shaping}, func(a Answer) error { return visit(a.Destinations) })
}
