package tlspost

import (
	"net"
	"time"

	"postrider/internal/https"
	"postrider/internal/resolver"
	"postrider/internal/responder"
	"postrider/internal/webpki"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/tlspost"
	"postrider/internal/world"
)

const (
	// atOnce is how many reports are sent at a time. More wait in the link.
	atOnce = 8
	// serverTime is how long one name server has at most.
	serverTime = 3 * time.Second
	// keptLookups bounds the cache of the DNS.
	keptLookups = 64
)

// server sends what it is asked to.
type server struct {
	*responder.Daemon
	*poster
}

// Main runs qmail-tlspost until its control channel ends. It says nothing of
// reports in the log: qmail-tlsrpt does.
func Main(w world.World) int {
	return responder.Main(w, "qmail-tlspost", func(d *responder.Daemon, channel *parent.Channel) error {
		return channel.Run(newServer(w, d).frame)
	})
}

func newServer(w world.World, d *responder.Daemon) *server {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: w.Clock, Timeout: serverTime, Entries: keptLookups}
	return &server{Daemon: d, poster: &poster{&https.Client{
		Names: func() (https.Names, error) { return names.Get() }, Roots: webpki.SystemRoots().Pool, Dial: new(net.Dialer).DialContext,
	}}}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.TLSPostTLSRPT:
		go s.Respond(f.File, "qmail-tlsrpt", atOnce, func(question []byte) []byte { return wire.Reply(question, s.post) })
	default:
		s.Stray(f)
	}
	return nil
}
