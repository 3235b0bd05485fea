package qmailremote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/smtpwire"
)

const (
	// maxGroup bounds the commands that are sent without waiting for replies,
	// so that neither side's socket buffers can fill up while both write (RFC
	// 2920 section 3.1).
	maxGroup = 4096

	codeClosing = 421 // RFC 5321 section 3.8: the server closes the connection
)

// lost is the error of a session that cannot go on.
type lost struct {
	said string // what the peer said last
	err  error
}

func (l *lost) Error() string { return "connection lost: " + l.err.Error() }
func (l *lost) Unwrap() error { return l.err }

var (
	errClosing  = errors.New("server closes the connection")
	errUnasked  = errors.New("server spoke without being asked")
	errCanceled = errors.New("delivery was called off")
)

// extensions is what the server offered in its answer to EHLO.
type extensions struct {
	pipelining bool   // RFC 2920
	eightBit   bool   // RFC 6152
	size       bool   // RFC 1870
	maxSize    int64  // 0: no limit told
	utf8       bool   // RFC 6531
	dsn        bool   // RFC 3461
	auth       string // mechanisms (RFC 4954)
	limits     limits // RFC 9422
	startTLS   bool   // RFC 3207
	requireTLS bool   // RFC 8689
	chunking   bool   // RFC 3030
	// postponed is the answer to EHLO of a server that may say more another time.
	postponed string
}

// session is a connection to one server, greeted and ready for transactions.
type session struct {
	conn    net.Conn
	tls     *secured // nil: conn is plain
	want    *security
	key     poolKey
	replies *smtpwire.ReplyReader
	timeout time.Duration // for each write and each reply of this step
	ext     extensions

	waits     *waits        // for each step
	otherwise time.Duration // for the steps that have none
	born      time.Time

	limits limits // of the message that it has, or had last
	uses   int    // transactions begun
	reset  bool   // a transaction was left unfinished: RSET comes first
	last   bool   // no further transaction
	broken bool   // not in step with the server: no further command
	ctx    context.Context
}

func (s *session) ip() netip.Addr { return s.key.addr.Addr() }

// guard ends every wait of the session as soon as ctx is done. release lifts
// it and reports whether ctx still was not.
func (s *session) guard(ctx context.Context) (release func() bool) {
	s.ctx = ctx
	stop := context.AfterFunc(ctx, func() {
		_ = s.conn.SetDeadline(time.Unix(1, 0)) // fails only when closed
	})
	return func() bool {
		s.ctx = context.Background()
		return stop()
	}
}

// arm gives the next write or reply its time.
func (s *session) arm() error { return s.armFor(s.timeout) }

func (s *session) armFor(limit time.Duration) error {
	if err := s.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return errCanceled // a deadline that guard had set is gone
	}
	return nil
}

// send writes commands, complete with their line ends.
func (s *session) send(commands []byte) error {
	if s.replies.Buffered() > 0 {
		s.broken = true
		return &lost{err: errUnasked}
	}
	err := s.arm()
	if err == nil {
		_, err = s.conn.Write(commands)
	}
	if err != nil {
		s.broken = true
		return &lost{err: err}
	}
	return nil
}

// reply reads the reply to one command. A server that says goodbye is lost.
func (s *session) reply() (smtpwire.Reply, error) {
	err := s.arm()
	var reply smtpwire.Reply
	if err == nil {
		reply, err = s.replies.Next()
	}
	if err == nil && reply.Code == codeClosing {
		err = errClosing
	}
	if err != nil {
		s.broken = true
		return reply, &lost{said: reply.Text, err: err}
	}
	return reply, nil
}

// command sends one command and reads its reply.
func (s *session) command(line string) (smtpwire.Reply, error) {
	if err := s.send([]byte(line + "\r\n")); err != nil {
		return smtpwire.Reply{}, err
	}
	return s.reply()
}

// greet reads the greeting and introduces us. The report says why not; all of
// them mean: try another host (RFC 5321 section 5.1), and none is permanent,
// not even for a 5xx (spec 5.2).
func (s *session) greet() *report {
	s.await(stepGreeting)
	greeting, err := s.reply()
	if err != nil || greeting.Code != 220 {
		return badGreeting(s.ip(), greeting.Text)
	}
	s.await(stepHello)
	hello, err := s.command(s.helloVerb() + " " + s.key.helo)
	if err == nil && hello.Code == 250 {
		s.ext = parseExtensions(hello.Text)
		return nil
	}
	if err == nil && s.key.protocol == smtp {
		if hello.Code/100 == 4 {
			s.ext.postponed = hello.Text
		}
		hello, err = s.command("HELO " + s.key.helo)
	}
	if err != nil && hello.Code != codeClosing {
		return died(s.ip(), false, hello.Text)
	}
	if err != nil || hello.Code != 250 {
		return nameRejected(s.ip(), hello.Text)
	}
	return nil
}

// parseExtensions reads the answer to EHLO; its first line is a greeting (RFC
// 5321 section 4.1.1.1).
func parseExtensions(text string) extensions {
	var ext extensions
	_, rest, _ := strings.Cut(text, "\n")
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if len(line) <= 4 {
			continue
		}
		keyword, params, _ := strings.Cut(strings.TrimSpace(line[4:]), " ")
		switch strings.ToUpper(keyword) {
		case "PIPELINING":
			ext.pipelining = true
		case "8BITMIME":
			ext.eightBit = true
		case "SMTPUTF8":
			ext.utf8 = true
		case "DSN":
			ext.dsn = true
		case "AUTH":
			ext.auth = params
		case "LIMITS":
			ext.limits = parseLimits(params)
		case "STARTTLS":
			ext.startTLS = true
		case "REQUIRETLS":
			ext.requireTLS = true
		case "CHUNKING":
			ext.chunking = true
		case "SIZE":
			ext.size = true
			// A limit that is no number is no limit.
			if n, err := strconv.ParseInt(strings.TrimSpace(params), 10, 64); err == nil && n > 0 {
				ext.maxSize = n
			}
		}
	}
	return ext
}

// fresh reports whether an idle connection is still open and silent. A server
// that closed it or said something meanwhile, 421 perhaps, has done with us.
func (s *session) fresh() bool {
	if s.broken || s.replies.Buffered() > 0 {
		return false
	}
	if s.tls != nil {
		return s.tls.silent()
	}
	conn, ok := s.conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		silent = peekErr == unix.EAGAIN
	})
	return err == nil && silent
}

// quit says goodbye. It waits up to patience for the server's answer, so that
// the server is not left with a reset connection.
func (s *session) quit(patience time.Duration) {
	defer s.conn.Close()
	if s.broken {
		return
	}
	// The transactions are over; nothing depends on how this goes.
	if s.conn.SetDeadline(time.Now().Add(max(patience, time.Second))) != nil {
		return
	}
	if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil && patience > 0 {
		_, _ = s.replies.Next()
	}
}
