package spawn

import (
	"fmt"

	"postrider/internal/wire/codec"
)

// maxHosts bounds Destination.Hosts.
const maxHosts = 512

// Destination is what a result tells of the hosts that mail was for. Those who
// deliver to users, and wrappers of qmail-remote, know nothing of it.
type Destination struct {
	// Hosts are the names of all hosts that take mail for that domain, sorted
	// and separated by commas, so that domains with the same ones are known as
	// such. "" says that it is not known. Of very many the last word stands
	// for the rest.
	Hosts   string
	Trouble Trouble
}

// Trouble is why no mail, or less, may be given to a destination for now.
type Trouble byte

// The kinds of trouble.
const (
	None        Trouble = 0
	Unreachable Trouble = 'u' // no host of the domain could be connected to, or found
	Throttled   Trouble = 't' // a host said that this is too much, or too fast
	Broken      Trouble = 'b' // a host was reached and did not come to an answer about the mail
)

func (d Destination) size() int { return 1 + codec.StringSize(d.Hosts[:min(len(d.Hosts), maxHosts)]) }

func (d Destination) append(b []byte) []byte {
	return codec.AppendString(append(b, byte(d.Trouble)), d.Hosts[:min(len(d.Hosts), maxHosts)])
}

func decodeDestination(r *codec.Reader) Destination {
	d := Destination{Trouble: Trouble(r.Uint8())}
	switch d.Trouble {
	case None, Unreachable, Throttled, Broken:
	default:
		r.Fail(fmt.Errorf("unknown trouble %q", byte(d.Trouble)))
	}
	d.Hosts = r.String(maxHosts)
	for i := range len(d.Hosts) {
		if c := d.Hosts[i]; c <= ' ' || c > '~' {
			r.Fail(fmt.Errorf("byte %q in names of hosts", c))
			return Destination{}
		}
	}
	return d
}
