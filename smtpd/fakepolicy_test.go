package smtpd

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/policy"
)

// fakePolicy is qmail-policy: zones and senders say by their names what it
// answers, and state is that of the client's name.
type fakePolicy struct {
	asked atomic.Int64

	mu    sync.Mutex
	state policy.NameState
	grey  map[policy.Triplet]bool
}

var errTrouble = errors.New("as its name says")

// link gives the daemon of a host a link to it.
func (f *fakePolicy) link(h *host) {
	h.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		h.t.Fatal(err)
	}
	go call.Serve(theirs, 64, func(q []byte) []byte { return policy.Reply(q, f) })
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Policy, File: ours})
}

// Lists has the client in the zones whose first label says so.
func (f *fakePolicy) Lists(client netip.Addr, zones []string) ([]policy.Listing, error) {
	f.asked.Add(1)
	var found []policy.Listing
	for _, z := range zones {
		switch label, _, _ := strings.Cut(z, "."); label {
		case "broken":
			return nil, errTrouble
		case "listed":
			found = append(found, policy.Listing{Standing: policy.Listed, Codes: []netip.Addr{netip.MustParseAddr("127.0.0.2")}, Text: "see " + z})
		case "silent":
			found = append(found, policy.Listing{Standing: policy.NoAnswer})
		case "mute":
			found = append(found, policy.Listing{Standing: policy.Listed, Codes: []netip.Addr{netip.MustParseAddr("127.0.0.10")}})
		default:
			found = append(found, policy.Listing{})
		}
	}
	return found, nil
}

// name says what is found out about the name of a client from now on.
func (f *fakePolicy) name(state policy.NameState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = state
}

func (f *fakePolicy) Name(netip.Addr) (policy.NameState, string, error) {
	f.asked.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	name := ""
	if f.state == policy.Confirmed || f.state == policy.Unconfirmed {
		name = "client.example.net"
	}
	return f.state, name, nil
}

// Sender gives the result that is the local part.
func (f *fakePolicy) Sender(_ netip.Addr, helo, sender string) (policy.Result, error) {
	f.asked.Add(1)
	local, _, _ := strings.Cut(sender, "@")
	for r := policy.None; r <= policy.PermError; r++ {
		if r.String() == local {
			return r, nil
		}
	}
	if local == "broken" {
		return policy.None, errTrouble
	}
	return policy.Pass, nil
}

// Grey lets in who comes twice.
func (f *fakePolicy) Grey(t policy.Triplet, delay time.Duration) (time.Duration, error) {
	f.asked.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasPrefix(t.Sender, "broken") {
		return 0, errTrouble
	}
	if f.grey[t] {
		return 0, nil
	}
	if f.grey == nil {
		f.grey = make(map[policy.Triplet]bool)
	}
	f.grey[t] = true
	return delay, nil
}
