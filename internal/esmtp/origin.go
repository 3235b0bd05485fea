package esmtp

// Origin says where a message came into this host's mail, as far as somebody
// answers for its author: only such mail is signed in a domain's name. Zero is a
// client of the network that may not relay, or an entry of an older version.
type Origin byte

// The origins.
const (
	// FromClient is a client of the network that may relay.
	FromClient Origin = 'c'
	// FromHere is a program of this host. What it hands in may be mail that it
	// forwards: the header tells.
	FromHere Origin = 'h'
)

// RecordOrigin is the record of the origin, its letter. qmail-spool takes it from
// those alone who have checked their clients.
const RecordOrigin = 's'

// Valid reports whether o is none or one of the origins.
func (o Origin) Valid() bool { return o == 0 || o == FromClient || o == FromHere }

func (m *Message) takeOrigin(value string) error {
	switch {
	case m.Origin != 0:
		return ErrTwice
	case len(value) != 1 || value == "\x00" || !Origin(value[0]).Valid():
		return errRecord
	}
	m.Origin = Origin(value[0])
	return nil
}
