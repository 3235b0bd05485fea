package submitlink

import (
	"errors"
	"net/netip"
	"time"

	"postrider/internal/fate"
	"postrider/internal/sessionlimit"
)

var errManyStreams = fate.Temp("3.2", "qq trouble: too many large messages at once (#4.3.2)", "stream to qmail-spool", errors.New("too many streams"))

// places are those of messages that wait for their commit, and of connections
// while a message arrives.
type places struct {
	commits chan struct{}
	most    int
	streams *sessionlimit.Counter
}

func newPlaces(commits, streams int) *places {
	return &places{commits: make(chan struct{}, commits), most: streams, streams: sessionlimit.New(0)}
}

// Turn waits for one of the places to commit, but no longer than for an answer: a
// client that gave up long ago must not be served after all. Done gives it back.
func (p *places) Turn() error {
	timer := time.NewTimer(CommitTime)
	defer timer.Stop()
	select {
	case p.commits <- struct{}{}:
		return nil
	case <-timer.C:
		return Unavailable("wait for a turn to commit", errors.New("qmail-spool does not answer the messages before"))
	}
}

// Done gives a place to commit back.
func (p *places) Done() { <-p.commits }

// Enter takes the place of a connection for a client, if there is one for it: a
// client has an eighth of them, or all if it is trusted. Leave gives it back.
func (p *places) Enter(client netip.Addr, trusted bool) error {
	most := p.most / 8
	if trusted {
		most = p.most
	}
	if p.streams.Enter(client, p.most, most) != sessionlimit.Counted {
		return errManyStreams
	}
	return nil
}

// Leave gives the place of a connection back.
func (p *places) Leave(client netip.Addr) { p.streams.Leave(client) }
