package qmtp

import (
	"math/rand/v2"
	"runtime/debug"

	"postrider/internal/fdpass"
	"postrider/internal/logline"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK       = 0   // also after a broken connection, as in qmail
	exitProtocol = 100 // classic form: the client speaks something else
	exitTemp     = 111 // something is short, time is over, or the control channel is not usable
)

// memoryGoal is what the garbage collector keeps the daemon near.
const memoryGoal = 18 << 20

// protocol is what the two programs differ in.
type protocol struct {
	program  string
	name     string // in the Received line
	listener string // what its sockets are called on the control channel
	// concurrency is the control file that says how many sessions there may be.
	concurrency string
	load        func(home string) (*settings, error)
	serve       func(*session) error
	verifies    bool // asks whether a recipient has a mailbox
	// emptyEnvelopes says that a message without recipients is queued, as stock
	// qmail does by QMQP.
	emptyEnvelopes bool
}

// QMTP is qmail-qmtpd.
func QMTP(w world.World) int {
	return run(w, protocol{
		program: "qmail-qmtpd", name: "QMTP", listener: parent.ListenQMTP,
		concurrency: "concurrencyqmtp", load: qmtpSettings, serve: serveQMTP, verifies: true,
	})
}

// QMQP is qmail-qmqpd.
func QMQP(w world.World) int {
	return run(w, protocol{
		program: "qmail-qmqpd", name: "QMQP", listener: parent.ListenQMQP,
		concurrency: "concurrencyqmqp", load: qmqpSettings, serve: serveQMQP, emptyEnvelopes: true,
	})
}

// run is either program: a daemon if qmail-start left a control channel, else
// on descriptors 0 and 1, as under tcpserver.
func run(w world.World, p protocol) int {
	logger := logline.NewWriter(w.Stderr)
	defer logger.Close()
	s := &service{protocol: p, clock: w.Clock, log: logger, lent: &budget{}}
	if !fdpass.IsPacketSocket(parent.FD) {
		return classic(w, s)
	}
	channel, err := parent.Inherited()
	if err != nil {
		logger.Line(s.prefix() + "fatal: " + err.Error())
		return exitTemp
	}
	debug.SetMemoryLimit(memoryGoal)
	d := newDaemon(w.Home, s)
	d.sessions.Last = rand.Uint64N(1 << 32) // sessions of two runs differ in the log
	d.look()
	if err := d.run(channel); err != nil {
		logger.Line(s.prefix() + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}
