package qmtp

import (
	"errors"
	"os"
	"time"

	"postrider/internal/enqueue"
	"postrider/internal/world"
)

// lifetime is how long the classic form serves its connection, as in qmail.
const lifetime = time.Hour

// classic serves the one connection on descriptors 0 and 1 (spec sections 8.2
// and 8.3).
func classic(w world.World, s *service) int {
	settings, err := s.protocol.load(w.Home)
	if err != nil {
		s.log.Line(s.prefix() + "alert: unable to read controls, no mail is taken: " + err.Error())
		return exitTemp
	}
	// tcpserver has applied the rules, and rblsmtpd has run before, if anything.
	session := &session{service: s, conn: descriptors{w.Stdin, w.Stdout}, settings: settings, queue: program{w}, number: uint64(os.Getpid())}
	session.peer = newPeer(w.Getenv)
	session.peer.refusal = ""
	session.start()
	ended := make(chan error, 1)
	go func() { ended <- session.run() }()
	alarm := time.NewTimer(lifetime)
	defer alarm.Stop()
	select {
	case err = <-ended:
		session.logEnd(err)
		return exitCode(err)
	case <-alarm.C:
		// What was not committed is dropped with us.
		s.log.Line(s.prefix() + "alert: session time over")
		return exitTemp
	}
}

// exitCode says what stock qmail says of the end of a session.
func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, errHungUp):
		return exitOK
	case errors.Is(err, errProtocol):
		return exitProtocol
	}
	return exitTemp
}

// descriptors is a connection on two inherited files. They are the caller's and
// know no deadlines: there is one for the whole process.
type descriptors struct{ in, out *os.File }

func (d descriptors) Read(p []byte) (int, error)       { return d.in.Read(p) }
func (d descriptors) Write(p []byte) (int, error)      { return d.out.Write(p) }
func (d descriptors) SetReadDeadline(time.Time) error  { return nil }
func (d descriptors) SetWriteDeadline(time.Time) error { return nil }

// program is the queue of the classic form: $QMAILQUEUE, else the public
// socket, else the drop directory.
type program struct{ world world.World }

func (p program) begin(origin) (submission, error) {
	path, _ := p.world.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: p.world.Home, QueueProgram: path, Environ: p.world.Environ})
	if err != nil {
		return nil, err // not s: a submission that is nil is one
	}
	return s, nil
}
