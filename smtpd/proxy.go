package smtpd

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"postrider/internal/listener"
	"postrider/internal/proxyproto"
)

const (
	// headerTime is how long a header of the PROXY protocol may take.
	headerTime = 5 * time.Second
	// maxHeaders is how many connections wait for theirs at a time.
	maxHeaders = 500
)

// arrival is a connection before it has a session.
type arrival struct {
	conn          *net.TCPConn
	kind          listener.SMTP
	remote, local netip.AddrPort // the client's, also behind a proxy
}

// proxied waits for the header that a proxy sends first.
func (d *daemon) proxied(a arrival, s *settings) {
	if !s.proxyHosts.Has(a.remote.Addr()) {
		d.countRefusal(replyNoProxy)
		d.log.Status(fmt.Sprintf("%sdenied ip=%s rule=proxyhosts", logPrefix, a.remote.Addr()))
		d.turnAway(a, replyNoProxy)
		return
	}
	if d.headers.Add(1) > maxHeaders {
		d.headers.Add(-1)
		d.turnAway(a, replyTooManyConns)
		return
	}
	d.sessions.Go(func() {
		header, err := readHeader(a.conn)
		d.headers.Add(-1)
		if err != nil {
			b := &strings.Builder{}
			b.WriteString(logPrefix + "proxy failed")
			logField(b, "ip", a.remote.Addr().String())
			logField(b, "why", err.Error())
			d.log.Line(b.String())
			_ = a.conn.Close() // it speaks no SMTP
			return
		}
		if header.Source.IsValid() {
			a.remote, a.local = header.Source, header.Destination
		}
		d.admit(a, s)
	})
}

func readHeader(c *net.TCPConn) (proxyproto.Header, error) {
	if err := c.SetReadDeadline(time.Now().Add(headerTime)); err != nil {
		return proxyproto.Header{}, err
	}
	return proxyproto.Read(c)
}
