package lspawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"postrider/internal/accounts"
	"postrider/internal/aliases"
	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/wire/call"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitDone      = 0
	exitPermanent = 100 // not started by qmail-start
	exitTemporary = 111
)

// Main runs qmail-lspawn until its control channel ends.
func Main(w world.World) int {
	channel, err := parent.Inherited()
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-lspawn: fatal: %v\n", err)
		return exitPermanent
	}
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	if err := run(w, channel, log); err != nil {
		log.Line("qmail-lspawn: fatal: " + err.Error())
		return exitTemporary
	}
	return exitDone
}

func run(w world.World, channel *parent.Channel, log *logline.Writer) error {
	installation, err := priv.Examine(w.Home)
	if err != nil {
		return err
	}
	resolver, nobodies, err := installation.Recipients()
	if err != nil {
		return err
	}
	// A home may be on a server that does not answer: lookupLimit ends the job, and
	// this the threads that such lookups would take.
	resolver.Stat = accounts.NewReach(homeTime).Stat
	resolver.Aliases = aliases.New(control.Dir(filepath.Join(w.Home, "control"))).Look
	var seldom logline.Seldom
	directory := &directory{resolver: resolver, nobodies: nobodies, note: func(err error) {
		if note, ok := seldom.Allow(w.Clock.Now(), err); ok {
			log.Line("qmail-lspawn: warning: " + err.Error() + note)
		}
	}}
	nss, err := directory.askBeyondFiles(installation)
	if err != nil {
		return err
	}
	if err := forbid(installation, directory.nobodies); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s := newServer(w.Clock, log, directory, &launcher{
		path:    filepath.Join(w.Home, "bin", workerName),
		private: installation.Private,
		null:    null,
	})
	var failure error
	go func() {
		err := obey(channel, s, nss)
		s.post(func() {
			failure = err
			s.drain()
		})
	}()
	s.run()
	return failure
}

// forbid has the kernel hold this process to what refuse says. In a private
// installation it can become nobody else in any case; and programs that may
// be setuid may become anybody.
func forbid(in priv.Installation, nobodies priv.Nobodies) error {
	policy, err := in.Policy()
	if err != nil || in.Private || policy.Off || policy.SetuidPrograms {
		return err
	}
	return nobodies.Forbid()
}

// obey carries out the parent's frames until the channel ends.
func obey(channel *parent.Channel, s *server, nss *call.Client) error {
	var setup localwork.Setup
	var links []*os.File // that came before all was told
	ready := false
	return channel.Run(func(f parent.Frame) error {
		switch {
		case f.Kind == parent.Figures:
			if err := s.counts.Take(f.Name, f.File); err != nil {
				s.log.Line("qmail-lspawn: warning: nothing is counted: " + err.Error())
			}
			s.post(s.countWorkers)
		case f.Kind == parent.Environment:
			setup.Environment = f.Data
		case f.Kind == parent.DefaultDelivery:
			setup.DefaultDelivery = string(f.Data)
		case f.Kind == parent.Go:
			packet := localwork.AppendSetup(nil, setup)
			if len(packet) > localwork.MaxPacket {
				return errors.New("environment and default delivery instructions are too long together")
			}
			ready = true
			s.post(func() { s.setup = packet })
		case f.Kind == parent.Pulse:
			taken := make(chan struct{})
			s.post(func() { close(taken) })
			select {
			case <-taken:
			case <-s.done:
			}
		case f.Kind == parent.Link && f.Name == parent.Spawn:
			links = append(links, f.File)
		case f.Kind == parent.Link && f.Name == parent.NSS && nss != nil:
			if err := nss.Relink(f.File); err != nil {
				s.log.Line("qmail-lspawn: warning: link to qmail-nss: " + err.Error())
			}
		case f.File != nil:
			fdpass.CloseAll([]*os.File{f.File}) // not for us
		}
		for ready && len(links) > 0 {
			link := links[0]
			links = links[1:]
			s.post(func() { s.replace(link) })
		}
		return nil
	})
}
