package clients

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/progress"
)

// Anybody may connect to queue/manage.sock. Who that is the kernel says; what he
// may have is decided here and nowhere else.

const (
	// Operators have connections of their own, so that users cannot keep them
	// out.
	maxOperators  = 8
	maxUsers      = 16
	maxOfOneUser  = 2
	operatorWait  = 10 * time.Minute // for the next question
	userWait      = 20 * time.Second
	sendWait      = time.Minute      // for an answer to be taken
	handWait      = 10 * time.Second // for files to be taken
	acceptPause   = 100 * time.Millisecond
	ownersAtOnce  = 500
	listPause     = 9 // times what the list of a user has taken
	maxListPause  = 2 * time.Second
	statesAtOnce  = manage.MaxStates
	resultsAtOnce = 500
)

// Queue is what is asked. Its methods are called in the loop alone.
type Queue interface {
	// States returns what is known of the messages of c.
	States(c progress.Client) []manage.State
	// Ownerless returns the messages of which it is not known whose they are, and
	// Owned says it.
	Ownerless() []queuedir.ID
	Owned(owners map[queuedir.ID]uint32)
	// May reports which messages c may have, as far as that is known.
	May(c progress.Client, ids []queuedir.ID) []bool
	// Take begins to do an order.
	Take(o *progress.Order)
	// Scan has the whole queue looked through.
	Scan()
	// Destinations describes those to which anything was given out.
	Destinations() []manage.Destination
}

// Loop is the scheduler's loop, in which the queue may be asked.
type Loop struct {
	Clock   clock.Clock
	Layout  queuedir.Layout
	Post    func(func())  // runs it there
	Stopped chan struct{} // closed when nothing is run any more
	Logf    func(format string, args ...any)
}

// Server serves the socket.
type Server struct {
	Loop
	asked Queue
	self  uint32 // qmail-send's own user
	// strangers are those as whom mail of the network is handed in: that does
	// not make it theirs.
	strangers []string

	listing sync.Mutex // one user at a time
	handing sync.Mutex // the same: of descriptors that are sent and not taken each user id may have few

	mu        sync.Mutex
	operators int
	users     int
	byUID     map[uint32]int
}

// New returns one that serves all but the strangers, who are uids.
func New(l Loop, q Queue, strangers []string) *Server {
	return &Server{Loop: l, asked: q, self: uint32(os.Geteuid()), strangers: strangers, byUID: make(map[uint32]int)}
}

// Serve begins to serve the listening socket l.
func (g *Server) Serve(l *os.File) {
	go func() {
		<-g.Stopped
		_ = l.Close() // our successor has it
	}()
	go g.accept(l)
}

func (g *Server) accept(l *os.File) {
	for told := false; ; {
		f, err := fdpass.Accept(l)
		select {
		case <-g.Stopped:
			if err == nil {
				_ = f.Close() // nothing was said
			}
			return
		default:
		}
		if err != nil {
			if !told {
				told = true
				g.Post(func() { g.Logf("warning: cannot accept a client of the queue: %v", err) })
			}
			time.Sleep(acceptPause)
			continue
		}
		g.begin(f)
	}
}

// begin serves a connection, if there may be another one of this client.
func (g *Server) begin(f *os.File) {
	uid, err := fdpass.PeerUID(f)
	packets, packetsErr := fdpass.NewPackets(f)
	if err != nil || packetsErr != nil {
		_ = f.Close() // nothing was said
		return
	}
	c := progress.Client{UID: uid, Operator: uid == 0 || uid == g.self}
	refusal := ""
	switch {
	case g.isStranger(c):
		refusal = "the queue is not for those who take in mail of the network"
	case !g.admit(c):
		refusal = "too many connections; try again"
	}
	if refusal != "" {
		_, _ = packets.TrySend(manage.AppendRefusal(nil, refusal))
		_ = packets.Close() // nothing was asked
		return
	}
	go func() {
		defer g.dismiss(c)
		defer packets.Close()
		g.Converse(c, packets)
	}()
}

func (g *Server) isStranger(c progress.Client) bool {
	return !c.Operator && slices.Contains(g.strangers, strconv.FormatUint(uint64(c.UID), 10))
}

func (g *Server) admit(c progress.Client) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case c.Operator && g.operators < maxOperators:
		g.operators++
	case !c.Operator && g.users < maxUsers && g.byUID[c.UID] < maxOfOneUser:
		g.users++
		g.byUID[c.UID]++
	default:
		return false
	}
	return true
}

func (g *Server) dismiss(c progress.Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Operator {
		g.operators--
		return
	}
	g.users--
	if g.byUID[c.UID]--; g.byUID[c.UID] == 0 {
		delete(g.byUID, c.UID)
	}
}

// Converse answers a client until he has no more questions.
func (g *Server) Converse(c progress.Client, packets *fdpass.Packets) {
	conversation{g, c, packets}.run()
}
