package rspawn

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/limits"
	"postrider/internal/priv"
	"postrider/internal/responder"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
)

const (
	// Variable names the program.
	Variable = "QMAILREMOTE"
	// maxRuns is how many programs run, whatever concurrencyremote is.
	maxRuns = 1000
	// drainFor is how long programs may go on after the end of qmail-start.
	drainFor = 10 * time.Second
)

// server gives deliveries to the program.
type server struct {
	*responder.Daemon
	home    string
	limits  limits.Limits
	ctx     context.Context // its end kills all programs
	places  chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	program *program // nil before the environment came
	cancel  func()   // ends the deliveries of the link
}

// Main runs qmail-rspawn until its control channel ends.
func Main(w world.World) int {
	return responder.Main(w, "qmail-rspawn", func(d *responder.Daemon, channel *parent.Channel) error {
		if err := priv.ForbidOthers(w.Home); err != nil {
			return err
		}
		s, err := newServer(w, d)
		if err != nil {
			return err
		}
		return s.run(channel)
	})
}

func newServer(w world.World, d *responder.Daemon) (*server, error) {
	programs, err := limits.Load(control.Dir(filepath.Join(w.Home, "control")))
	if err == nil {
		err = programs.Bound()
	}
	if err != nil {
		return nil, err
	}
	return &server{Daemon: d, home: w.Home, limits: programs, places: make(chan struct{}, maxRuns), cancel: func() {}}, nil
}

// run serves until the control channel ends, and then lets programs finish.
func (s *server) run(channel *parent.Channel) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	err := channel.Run(s.frame)
	stop := time.AfterFunc(drainFor, cancel)
	s.running.Wait()
	stop.Stop()
	cancel()
	return err
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Environment:
		return s.prepare(parent.DecodeEnvironment(f.Data))
	case f.Kind == parent.Link && f.Name == parent.Spawn:
		return s.relink(f.File)
	default:
		s.Stray(f)
	}
	return nil
}

// prepare takes the environment of programs, and with it the name of this one.
func (s *server) prepare(environ []string) error {
	name := ""
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, Variable+"="); found {
			name = value
		}
	}
	path, err := find(name, environ)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program = &program{path: path, dir: s.home, environ: environ, limits: s.limits}
	s.Say("mail to other hosts is given to " + path + ", as " + Variable + " says")
	return nil
}

// relink takes the link to a qmail-send that starts. Deliveries of the one before
// cannot be told any more, and are called off.
func (s *server) relink(f *os.File) error {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	ctx, cancel := context.WithCancel(s.ctx)
	s.cancel = cancel
	l := &link{packets: packets}
	go s.serve(ctx, cancel, l)
	return nil
}

// link is the connection to one run of qmail-send.
type link struct {
	packets *fdpass.Packets
	mu      sync.Mutex
}

// answer sends one result.
func (l *link) answer(r spawn.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.packets.Send(spawn.AppendResults(nil, []spawn.Result{r})) // the reader of the link sees its end, too
}

// serve takes jobs from a link until it ends.
func (s *server) serve(ctx context.Context, cancel func(), l *link) {
	defer l.packets.Close()
	defer cancel()
	buf := make([]byte, spawn.MaxPacket)
	for {
		n, files, err := l.packets.Receive(buf, spawn.MaxJobs)
		var jobs []spawn.Job
		if err == nil || errors.Is(err, fdpass.ErrShortage) {
			short := err
			if _, jobs, err = spawn.DecodeJobs(buf[:n]); err == nil && short != nil {
				for _, j := range jobs {
					refuse(l, j, deferral("System resources temporarily unavailable. (#4.3.0)\n"))
				}
				continue
			}
		}
		if err == nil {
			if err = spawn.AttachFiles(jobs, files); err != nil {
				fdpass.CloseAll(files)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.Say("warning: link to qmail-send: " + err.Error())
			}
			return
		}
		for _, j := range jobs {
			s.running.Go(func() { s.job(ctx, l, j) })
		}
	}
}

// refuse answers all deliveries of a job alike.
func refuse(l *link, j spawn.Job, r spawn.Result) {
	for _, to := range j.Recipients {
		r.Delivery = to.Delivery
		l.answer(r)
	}
}

// noRequireTLS tells that the program would not know.
const noRequireTLS = "The sender asks for REQUIRETLS, which the program that QMAILREMOTE names does not know. (#5.7.30)\n"

// job delivers to the recipients of a job, one after the other: they share the
// message, and its offset.
func (s *server) job(ctx context.Context, l *link, j spawn.Job) {
	defer j.Message.Close()
	s.mu.Lock()
	p := s.program
	s.mu.Unlock()
	switch {
	case p == nil:
		refuse(l, j, deferral("Unable to run qmail-remote. (#4.3.0)\n"))
		return
	case j.Facts.RequireTLS:
		refuse(l, j, spawn.Result{Class: spawn.Failure, Text: noRequireTLS})
		return
	case j.Relay != "":
		refuse(l, j, deferral("The program that QMAILREMOTE names cannot be told the next host that was ordered for this message. (#4.3.5)\n"))
		return
	case strings.HasPrefix(j.Host, "-"):
		// Programs would take it for an option.
		refuse(l, j, spawn.Result{Class: spawn.Failure, Text: "Sorry, I couldn't find any host by that name. (#5.1.2)\n"})
		return
	}
	message, done, err := messageFile(j.Message)
	if err != nil {
		s.Warn(err)
		refuse(l, j, deferral("qmail-spawn unable to open message. (#4.3.0)\n"))
		return
	}
	defer done()
	for _, to := range j.Recipients {
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return // the end of the link tells qmail-send
		}
		r, err := p.run(ctx, j.Host, j.Sender.String(), to.Address.String(), message)
		<-s.places
		if err != nil {
			s.Warn(err)
		}
		r.Delivery = to.Delivery
		l.answer(r)
	}
}
