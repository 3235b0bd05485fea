package lmtp

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/fate"
	"postrider/internal/smtpwire"
)

// How long the steps may take; RFC 5321 section 4.5.3.2 has the last two.
const (
	greetLimit = time.Minute
	stepLimit  = 5 * time.Minute
	endLimit   = 10 * time.Minute
	// mailLimit is how long all of a delivery may take.
	mailLimit = 50 * time.Minute
	// pieceSize is how much of a message is sent at a time.
	pieceSize = 32 << 10
)

// Mail is one message for one recipient.
type Mail struct {
	Sender, Recipient address.Address
	Message           io.Reader // lines end in LF
}

// client is one connection.
type client struct {
	target  Target
	f       *os.File
	replies *smtpwire.ReplyReader
	// What the server offers.
	eightBit, utf8 bool
	// end is when the present transaction ends at the latest.
	end time.Time
	// clean says that the next transaction may begin.
	clean bool
}

// connect makes a connection that is ready for a transaction.
func connect(t Target, name string) (*client, error) {
	f, err := dial(t)
	if err != nil {
		return nil, away(t, "connection", err)
	}
	c := &client{target: t, f: f, replies: smtpwire.NewReplyReader(f)}
	if err := c.greet(name); err != nil {
		c.close()
		return nil, err
	}
	c.clean = true
	return c, nil
}

func (c *client) close() { _ = c.f.Close() } // all that counts was answered

func (c *client) greet(name string) error {
	if err := c.limit(greetLimit); err != nil {
		return away(c.target, "greeting", err)
	}
	r, err := c.replies.Next()
	if err != nil {
		return away(c.target, "greeting", err)
	}
	if r.Code != 220 {
		return refused(c.target, "greeting", r, false)
	}
	if r, err = c.command("LHLO "+name, greetLimit); err != nil {
		return away(c.target, "LHLO", err)
	}
	if r.Code != 250 {
		return refused(c.target, "LHLO", r, false)
	}
	for line := range strings.Lines(r.Text) {
		if len(line) < 4 {
			continue
		}
		switch strings.ToUpper(strings.TrimSpace(line[4:])) {
		case "8BITMIME":
			c.eightBit = true
		case "SMTPUTF8":
			c.utf8 = true
		}
	}
	return nil
}

// limit gives the next step its time.
func (c *client) limit(d time.Duration) error {
	at := time.Now().Add(d)
	if !c.end.IsZero() && c.end.Before(at) {
		at = c.end
	}
	return c.f.SetDeadline(at)
}

// command sends a line and returns the reply.
func (c *client) command(line string, limit time.Duration) (smtpwire.Reply, error) {
	if strings.ContainsAny(line, "\r\n\x00") {
		return smtpwire.Reply{}, errors.New("an address has a line end")
	}
	if c.replies.Buffered() > 0 {
		return smtpwire.Reply{}, errors.New("a reply to nothing")
	}
	if err := c.limit(limit); err != nil {
		return smtpwire.Reply{}, err
	}
	if _, err := c.f.WriteString(line + "\r\n"); err != nil {
		return smtpwire.Reply{}, err
	}
	return c.replies.Next()
}

// errStale says that a kept connection had ended before anything was sent.
var errStale = errors.New("connection has ended")

// deliver carries out one transaction. kept says that the connection has been
// idle: if it ends at the first command, the error is errStale.
func (c *client) deliver(m Mail, kept bool) error {
	c.clean, c.end = false, time.Now().Add(mailLimit)
	r, err := c.command("MAIL FROM:<"+m.Sender.Quoted()+">"+c.parameters(m), stepLimit)
	switch {
	case err != nil && kept, err == nil && kept && r.Code == 421:
		return errStale
	case err != nil:
		return away(c.target, "MAIL", err)
	case r.Code/100 != 2:
		return c.reset(refused(c.target, "MAIL", r, true))
	}
	if r, err = c.command("RCPT TO:<"+m.Recipient.Quoted()+">", stepLimit); err != nil {
		return away(c.target, "RCPT", err)
	}
	if r.Code/100 != 2 {
		return c.reset(refused(c.target, "RCPT", r, true))
	}
	if r, err = c.command("DATA", stepLimit); err != nil {
		return away(c.target, "DATA", err)
	}
	if r.Code != 354 {
		return c.reset(refused(c.target, "DATA", r, true))
	}
	if err := c.send(m.Message); err != nil {
		return err
	}
	// One reply for the one recipient (RFC 2033 section 4.2).
	if r, err = c.replies.Next(); err != nil {
		return away(c.target, "answer to the message", err)
	}
	c.clean = r.Code != 421
	if r.Code/100 != 2 {
		return refused(c.target, "message", r, true)
	}
	return nil
}

// parameters are those of MAIL.
func (c *client) parameters(m Mail) (p string) {
	if c.eightBit {
		p = " BODY=8BITMIME"
	}
	if c.utf8 && (!isASCII(m.Sender.String()) || !isASCII(m.Recipient.String())) {
		p += " SMTPUTF8"
	}
	return p
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// reset ends a transaction that was refused, and returns why.
func (c *client) reset(why error) error {
	r, err := c.command("RSET", stepLimit)
	c.clean = err == nil && r.Code/100 == 2
	return why
}

// send sends the message and its end mark.
func (c *client) send(message io.Reader) error {
	var encoder smtpwire.Encoder
	in, out := make([]byte, pieceSize), make([]byte, 0, 2*pieceSize+8)
	for {
		n, err := message.Read(in)
		out = encoder.Append(out[:0], in[:n])
		if err == io.EOF {
			out = encoder.AppendEnd(out)
		} else if err != nil {
			return fate.Temp("3.0", "Unable to read message. (#4.3.0)", "read message", err)
		}
		limit := stepLimit
		if err == io.EOF {
			limit = endLimit
		}
		if err := c.limit(limit); err != nil {
			return away(c.target, "sending", err)
		}
		if _, err := c.f.Write(out); err != nil {
			return away(c.target, "sending", err)
		}
		if err == io.EOF {
			return nil
		}
	}
}
