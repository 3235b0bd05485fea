package smtpd

import (
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
	"postrider/internal/wire/parent"
)

// fakeLookup is qmail-lookup: everybody exists but those whose names say
// otherwise.
type fakeLookup struct{ asked atomic.Int64 }

// link gives the daemon of a host a link to it.
func (f *fakeLookup) link(h *host) {
	h.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		h.t.Fatal(err)
	}
	go call.Serve(theirs, 64, func(q []byte) []byte {
		if strings.HasPrefix(string(q), "Asilent") {
			return nil
		}
		return lookup.Reply(q, f.find)
	})
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Lookup, File: ours})
}

func (f *fakeLookup) find(a address.Address) lookup.Answer {
	f.asked.Add(1)
	for prefix, verdict := range map[string]lookup.Verdict{"nobody": lookup.Unknown, "full": lookup.Full, "unsure": lookup.Unsure} {
		if strings.HasPrefix(a.Local(), prefix) {
			return lookup.Answer{Verdict: verdict, Text: "as its name says"}
		}
	}
	return lookup.Answer{Verdict: lookup.Exists}
}
