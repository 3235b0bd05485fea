package smtpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"postrider/internal/figures"
)

const (
	// handshakeTime is how long a TLS handshake may take.
	handshakeTime = 30 * time.Second
	// maxHandshake is how many octets a client may send in it, maxCertHandshake
	// where it is asked for a certificate. crypto/tls would keep 256 KiB.
	maxHandshake     = 16 << 10
	maxCertHandshake = 64 << 10
)

var errHandshake = errors.New("TLS handshake failed")

// secured reports whether the session is inside TLS.
func (s *session) secured() bool { return s.tls != nil }

// offersTLS reports whether STARTTLS may be said now.
func (s *session) offersTLS() bool { return s.tls == nil && s.keys.present() && !s.peer.noTLS }

// offers are lines of the answer to EHLO that depend on the session.
func (s *session) offers() string {
	lines := ""
	if s.offersTLS() {
		lines += "\nSTARTTLS"
	}
	if s.secured() && s.takesFacts() {
		lines += "\nREQUIRETLS" // RFC 8689
	}
	lines += s.offersAuth()
	if s.xclients != nil {
		lines += "\nXCLIENT " + xclientNames
	}
	return lines
}

// refuseRequireTLS is the answer to REQUIRETLS outside TLS, where the promise
// cannot begin (RFC 8689 section 3).
func (s *session) refuseRequireTLS() reply {
	if s.offersTLS() {
		return replyNoRequireTLS
	}
	return *refuse(555, "unrecognised parameter")
}

// starttls answers STARTTLS; the handshake comes next (RFC 3207).
func (s *session) starttls(argument string) reply {
	switch {
	case s.secured():
		return replyInTLS
	case !s.offersTLS():
		return replyUnimplemented
	case s.talksEarly():
		// It would be plain text that runs inside TLS.
		return replyEarlyTalk
	case s.state == chunks:
		return replyInChunks
	case s.state != ready:
		return replyInMail
	case argument != "":
		return replyNoArgument
	case s.keys.certificates() == nil:
		return replyNoTLS
	}
	s.logOut()
	s.state = upgrade
	return replyStartTLS
}

// upgrade goes over to TLS behind the reply to STARTTLS.
func (s *session) upgrade() error {
	if err := s.flush(s.settings.timeout); err != nil {
		return err
	}
	// What came in plain text is not the client's word any more (RFC 3207
	// section 4.2; CVE-2011-0411).
	s.in.use(len(s.in.unused()))
	s.in.narrow()
	if err := s.handshake(); err != nil {
		return err
	}
	s.startOver()
	return nil
}

// startOver forgets what the client has said of itself.
func (s *session) startOver() {
	s.state = ready
	s.reset()
	s.greeted, s.heloName = false, ""
}

// handshake puts TLS between the connection and the session. A failure has its
// log line.
func (s *session) handshake() error {
	err := s.shakeHands()
	if err == nil {
		s.counts.Add(figures.SMTPTLSSessions, 0, 1)
		return nil
	}
	b := s.logEvent("tls failed")
	logField(b, "why", err.Error())
	s.log.Line(b.String())
	if s.CutOff.Load() || s.Stopping.Load() && isTimeout(err) {
		return errShutdown
	}
	return errHandshake
}

func (s *session) shakeHands() error {
	tcp, ok := s.conn.(tcpConn)
	certs := s.keys.certificates()
	if !ok || certs == nil {
		return errors.New("there is no certificate")
	}
	if err := s.setDeadline(handshakeTime); err != nil {
		return err
	}
	if err := tcp.SetWriteDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	c := &tlsConn{raw: &rawConn{TCPConn: tcp.TCPConn, left: maxHandshake}}
	config := s.tlsConfig(certs)
	if config.ClientAuth != tls.NoClientCert {
		c.raw.left = maxCertHandshake
	}
	c.Conn = tls.Server(c.raw, config)
	if err := c.Handshake(); err != nil {
		return err
	}
	c.raw.left = unlimited
	s.tls, s.conn, s.in.conn = c, c, c
	s.learn(c.ConnectionState(), certs)
	return nil
}

// tlsConfig is for one handshake.
func (s *session) tlsConfig(certs *certificates) *tls.Config {
	c := &tls.Config{
		GetCertificate: certs.pick,
		MinVersion:     tls.VersionTLS12,
		// Clients of outlook.com hang up when they get a session ticket of
		// crypto/tls in the handshake, and never deliver (golang/go#70232).
		SessionTicketsDisabled: true,
	}
	if s.kind.OldTLS {
		c.MinVersion = tls.VersionTLS10
	}
	if s.settings.tlsClients != nil {
		// Whatever it shows, mail for us is taken.
		c.ClientAuth = tls.RequestClientCert
		c.ClientCAs = s.settings.clientCAs
	}
	return c
}

// learn notes what the handshake has told.
func (s *session) learn(state tls.ConnectionState, certs *certificates) {
	s.tls.version = strings.TrimPrefix(tls.VersionName(state.Version), "TLS ")
	s.tls.cipher = tls.CipherSuiteName(state.CipherSuite)
	if name := certs.served(state.ServerName); name != "" {
		// Whom the client has asked for is who greets it (spec section 6.7).
		changed := *s.settings
		changed.greeting = name
		s.settings = &changed
	}
	if who := s.settings.trustedClient(state.PeerCertificates, s.clock.Now()); who != "" {
		s.peer.relay = true
		s.tls.client = who
	}
}

// logTLS appends what is known of TLS.
func (s *session) logTLS(b *strings.Builder) {
	if s.tls == nil {
		return
	}
	logField(b, "tls", s.tls.version)
	logField(b, "cipher", s.tls.cipher)
	if s.tls.client != "" {
		logField(b, "cert", s.tls.client)
	}
}

// protocol is the word behind "with" in the Received line: qmail's own, and for
// TLS that of RFC 3848 and RFC 6531 section 4.3.
func (s *session) protocol() string {
	who := s.loggedIn() != ""
	if s.tls == nil {
		switch {
		case s.utf8 && who:
			return "UTF8SMTPA"
		case s.utf8:
			return "UTF8SMTP"
		case who:
			return "ESMTPA"
		}
		return "SMTP"
	}
	word, more := "ESMTPS", ""
	if s.utf8 {
		word = "UTF8SMTPS"
	}
	if who {
		word, more = word+"A", ", authenticated"
	}
	return fmt.Sprintf("%s (TLS%s %s encrypted%s)", word, s.tls.version, s.tls.cipher, more)
}
