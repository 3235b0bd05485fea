package fair

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postrider/internal/control"
	"postrider/internal/esmtp"
	"postrider/internal/networks"
	"postrider/internal/queuedir"
	"postrider/internal/route"
)

// A sender, for the sake of fairness, is the account that has logged in, else
// the client's network, else the local user. What one sends in bulk is a flow of
// its own, whose turns are rarer.

// Unknown is the flow of messages whose envelope was not read yet.
const Unknown Flow = 0

const (
	// usualWeight is what weight 1 of control/senderweights is here: bulk has
	// an eighth of what the same sender's other mail has.
	usualWeight = 8
	maxWeight   = 100
	// maxWeights bounds control/senderweights.
	maxWeights = 10000
)

// origin is who is answerable for a message: one of the three.
type origin struct {
	account string // in xtext
	network netip.Prefix
	uid     uint32
}

// Senders finds flows. Its seed is secret: nobody can choose to share a flow.
type Senders struct {
	seed    maphash.Seed
	weights map[origin]uint16
	lengths [2][]int // of networks in weights, the longest first: IPv4, IPv6
}

// Flow returns the flow of a message, and its weight.
func (s *Senders) Flow(head queuedir.Head) (Flow, uint16) {
	from := originOf(head)
	weight := s.weight(from)
	key := Flow(maphash.Comparable(s.seed, from)) | 1
	if head.Bulk {
		return key ^ 1<<63, weight
	}
	return key, usualWeight * weight
}

func originOf(head queuedir.Head) origin {
	if head.Facts.User != "" {
		return origin{account: head.Facts.User}
	}
	if client := head.Facts.Client; client.IsValid() {
		if network, err := client.Prefix(networkBits(client)); err == nil {
			return origin{network: network}
		}
	}
	return origin{uid: head.UID}
}

// weight returns that of control/senderweights; of networks, of the smallest.
func (s *Senders) weight(from origin) uint16 {
	if len(s.weights) == 0 {
		return 1
	}
	if w := s.weights[from]; w > 0 {
		return w
	}
	if client := from.network.Addr(); client.IsValid() {
		for _, bits := range s.lengths[family(client)] {
			network, err := client.Prefix(bits)
			if w := s.weights[origin{network: network}]; err == nil && w > 0 {
				return w
			}
		}
	}
	return 1
}

// networkBits is how much of an address tells clients apart: who has one IPv6
// address has 2⁶⁴.
func networkBits(a netip.Addr) int {
	if a.Is4() {
		return 32
	}
	return 64
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Lane returns what stands for a destination among those of one sender.
func (s *Senders) Lane(destination string) uint32 {
	return uint32(maphash.String(s.seed, destination))
}

// Key returns what stands for a domain; 0 for none.
func (s *Senders) Key(domain string) uint32 { return max(s.Lane(domain), 1) }

// DestinationOf is a domain, or who gets it here.
func DestinationOf(c route.Channel, recipient string) string {
	if c == route.Remote {
		return route.DomainOf(recipient)
	}
	return recipient
}

// ReadSenders reads control/senderweights: WHO WEIGHT, where WHO is the name of
// an account, uid=N, an address or ADDRESS/BITS.
func ReadSenders(dir control.Dir) (*Senders, error) {
	s := &Senders{seed: maphash.MakeSeed(), weights: make(map[origin]uint16)}
	_, err := dir.Each("senderweights", func(line string) error {
		if len(s.weights) == maxWeights {
			return fmt.Errorf("more than %d lines", maxWeights)
		}
		if err := s.add(strings.Fields(line)); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.sortLengths()
	return s, nil
}

// add takes a line: the names of accounts are kept as the queue has them.
func (s *Senders) add(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("a line is a sender and a weight")
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 || n > maxWeight {
		return fmt.Errorf("%q is no weight from 1 to %d", words[1], maxWeight)
	}
	from, err := parseOrigin(words[0])
	if err != nil {
		return err
	}
	s.weights[from] = uint16(n)
	return nil
}

func parseOrigin(word string) (origin, error) {
	if list, err := networks.Parse([]string{word}); err == nil {
		return origin{network: list[0].Masked()}, nil
	}
	if number, isUID := strings.CutPrefix(word, "uid="); isUID {
		uid, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return origin{}, fmt.Errorf("%q is no number of a user", number)
		}
		return origin{uid: uint32(uid)}, nil
	}
	return origin{account: esmtp.Xtext(word)}, nil
}

// sortLengths finds which lengths of prefixes there are, the longest first.
func (s *Senders) sortLengths() {
	for from := range s.weights {
		if !from.network.IsValid() {
			continue
		}
		lengths := &s.lengths[family(from.network.Addr())]
		if bits := from.network.Bits(); !slices.Contains(*lengths, bits) {
			*lengths = append(*lengths, bits)
		}
	}
	for f := range s.lengths {
		slices.SortFunc(s.lengths[f], func(a, b int) int { return b - a })
	}
}
