package tlspost

import (
	"net"
	"os"
	"time"

	"postrider/internal/https"
	"postrider/internal/logline"
	"postrider/internal/resolver"
	"postrider/internal/webpki"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	wire "postrider/internal/wire/tlspost"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-tlspost: "
	// atOnce is how many reports are sent at a time. More wait in the link.
	atOnce = 8
	// serverTime is how long one name server has at most.
	serverTime = 3 * time.Second
	// keptLookups bounds the cache of the DNS.
	keptLookups = 64
)

// server sends what it is asked to.
type server struct {
	*poster
	log func(line string)
}

// Main runs qmail-tlspost until its control channel ends. It says nothing of
// reports in the log: qmail-tlsrpt does.
func Main(w world.World) int {
	log := logline.NewWriter(w.Stderr)
	defer log.Close()
	s := newServer(w, log.Line)
	channel, err := parent.Inherited()
	if err == nil {
		err = channel.Run(s.frame)
	}
	if err != nil {
		log.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

func newServer(w world.World, log func(string)) *server {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: w.Clock, Timeout: serverTime, Entries: keptLookups}
	return &server{log: log, poster: &poster{&https.Client{
		Names: func() (https.Names, error) { return names.Get() }, Roots: webpki.SystemRoots().Pool, Dial: new(net.Dialer).DialContext,
	}}}
}

// frame does what qmail-start says.
func (s *server) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Link && f.Name == parent.TLSPostTLSRPT:
		go s.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		s.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-tlspost")
	}
	return nil
}

// serve answers the questions of a link.
func (s *server) serve(link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte { return wire.Reply(question, s.post) })
	if err != nil {
		s.log(logPrefix + "warning: link to qmail-tlsrpt: " + err.Error())
	}
}
