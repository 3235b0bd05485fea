package manage

import (
	"fmt"

	"postrider/internal/wire/codec"
)

// Answer is a packet that qmail-send sends.
type Answer struct {
	Kind         byte
	States       []State
	Found        []bool // Files
	Results      []Result
	Destinations []Destination
	Text         string // Refusal
}

// AppendStates appends a packet of at most MaxStates.
func AppendStates(b []byte, states []State) []byte {
	b = codec.AppendUint16(append(b, States), uint16(len(states)))
	for _, s := range states {
		b = append(b, s.ID[:]...)
		b = append(b, byte(s.Phase))
		b = codec.AppendUint64(b, uint64(s.Next))
		b = codec.AppendUint16(b, s.Attempts)
		b = codec.AppendUint16(b, s.InFlight)
	}
	return b
}

// AppendFound appends a packet that says of which messages there are files.
func AppendFound(b []byte, found []bool) []byte {
	b = codec.AppendUint16(append(b, Files), uint16(len(found)))
	for _, f := range found {
		if f {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// ResultsFit returns how many of the first results fit into a packet.
func ResultsFit(results []Result) int {
	size := 3
	for i, r := range results {
		size += len(r.ID) + 1 + codec.StringSize(said(r.Text))
		if i == maxResults || size > MaxPacket {
			return i
		}
	}
	return len(results)
}

// AppendResults appends a packet of results, which ResultsFit must allow.
func AppendResults(b []byte, results []Result) []byte {
	b = codec.AppendUint16(append(b, Results), uint16(len(results)))
	for _, r := range results {
		b = append(b, r.ID[:]...)
		b = append(b, byte(r.Outcome))
		b = codec.AppendString(b, said(r.Text))
	}
	return b
}

func said(text string) string { return text[:min(len(text), maxSaid)] }

// AppendRefusal appends a packet that says why there is no answer.
func AppendRefusal(b []byte, text string) []byte {
	return codec.AppendString(append(b, Refusal), said(text))
}

// DecodeAnswer reads a packet of qmail-send.
func DecodeAnswer(packet []byte) (Answer, error) {
	r := codec.NewReader(packet)
	a := Answer{Kind: r.Uint8()}
	switch a.Kind {
	case End:
	case States:
		for range count(r, MaxStates) {
			s := State{ID: decodeID(r), Phase: Phase(r.Uint8()), Next: int64(r.Uint64()), Attempts: r.Uint16(), InFlight: r.Uint16()}
			if r.Err() != nil {
				break
			}
			a.States = append(a.States, s)
		}
	case Files:
		for range count(r, MaxDescribed) {
			a.Found = append(a.Found, r.Uint8() == 1)
		}
	case Results:
		for range count(r, maxResults) {
			res := Result{ID: decodeID(r), Outcome: Outcome(r.Uint8()), Text: r.String(maxSaid)}
			if r.Err() != nil {
				break
			}
			a.Results = append(a.Results, res)
		}
	case Destinations:
		a.Destinations = decodeDestinations(r)
	case Refusal:
		a.Text = r.String(maxSaid)
	default:
		r.Fail(fmt.Errorf("unknown answer %q", a.Kind))
	}
	if err := r.Done(); err != nil {
		return Answer{}, fmt.Errorf("manage protocol: %w", err)
	}
	return a, nil
}

// count reads a number of things, at most limit.
func count(r *codec.Reader, limit int) int {
	n := int(r.Uint16())
	if n > limit {
		r.Fail(fmt.Errorf("%d things in a packet", n))
		return 0
	}
	return n
}
