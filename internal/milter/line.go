package milter

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"postrider/internal/milterwire"
)

// MaxMilters is how many a transaction may have.
const MaxMilters = 10

const (
	defaultTimeout = 60 * time.Second
	maxTimeout     = 10 * time.Minute
)

// Milter is one that is asked.
type Milter struct {
	Name    string // as its line has it
	network string
	address string
	timeout time.Duration // of each answer
	// failed is what counts if it cannot be asked.
	failed milterwire.Action
}

// unavailable is the reply if a milter cannot be asked.
const unavailable = "the mail filter is not available (#%d.3.5)"

func refusal(code int) milterwire.Action {
	class := code / 100
	return milterwire.Action{Verdict: milterwire.Refuse,
		Reply: milterwire.Reply{Code: code, Enhanced: strconv.Itoa(class) + ".3.5", Text: fmt.Sprintf(unavailable, class)}}
}

// List is milters in the order in which they are asked.
type List []Milter

// Add reads a line, unix:/path or inet:host:port, then words, and adds it.
func (l *List) Add(line string) error {
	if len(*l) == MaxMilters {
		return fmt.Errorf("more than %d milters", MaxMilters)
	}
	m, err := parseLine(line)
	if err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	*l = append(*l, m)
	return nil
}

func parseLine(line string) (m Milter, err error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return m, fmt.Errorf("no address")
	}
	m = Milter{Name: words[0], timeout: defaultTimeout, failed: refusal(451)}
	kind, address, _ := strings.Cut(words[0], ":")
	switch m.address = address; kind {
	case "unix":
		m.network = "unix"
		if !strings.HasPrefix(address, "/") {
			return m, fmt.Errorf("no full path")
		}
	case "inet":
		m.network = "tcp"
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return m, err
		}
		if n, err := strconv.ParseUint(port, 10, 16); host == "" || err != nil || n == 0 {
			return m, fmt.Errorf("no host and port")
		}
	default:
		return m, fmt.Errorf("neither unix:/path nor inet:host:port")
	}
	for _, word := range words[1:] {
		if err := m.option(word); err != nil {
			return m, err
		}
	}
	return m, nil
}

// option takes a word behind the address.
func (m *Milter) option(word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch {
	case word == "tempfail":
		m.failed = refusal(451)
	case word == "reject":
		m.failed = refusal(554)
	case word == "accept":
		m.failed = milterwire.Action{Verdict: milterwire.Accept}
	case name == "timeout":
		seconds, err := strconv.ParseUint(value, 10, 32)
		m.timeout = time.Duration(seconds) * time.Second
		if err != nil || seconds < 1 || m.timeout > maxTimeout {
			return fmt.Errorf("timeout is from 1 to %d", maxTimeout/time.Second)
		}
	default:
		return fmt.Errorf("unknown word %q: tempfail, accept, reject, timeout=", word)
	}
	return nil
}
