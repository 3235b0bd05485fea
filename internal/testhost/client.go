package testhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Reply is what a server said: an error if it is a refusal. Any other error
// of a Client means that the connection broke and the outcome is unknown.
type Reply struct {
	Code int
	Text string // all lines, without codes, LF between them
}

func (r *Reply) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Client is a mail client that speaks from a host, one command a time.
type Client struct {
	c    net.Conn
	r    *bufio.Reader
	name string // what it says hello as
}

// SMTP connects from the host to a server's numeric address and port, waits
// for its greeting and says hello. Every later step shares the deadline of ctx.
func (h *Host) SMTP(ctx context.Context, address string) (*Client, error) {
	conn, err := h.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Client{c: conn, r: bufio.NewReader(conn), name: h.Name}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if err := c.expect(2); err != nil {
		conn.Close()
		return nil, err
	}
	if err := c.hello(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) hello() error { return c.Command("EHLO "+c.name, 2) }

// Conn returns the connection, for what a client would not do.
func (c *Client) Conn() net.Conn { return c.c }

// Close drops the connection without QUIT.
func (c *Client) Close() error { return c.c.Close() }

// SetDeadline bounds what follows.
func (c *Client) SetDeadline(t time.Time) error { return c.c.SetDeadline(t) }

// Command sends a line and expects a reply whose code begins with digit; a
// *Reply is the error otherwise.
func (c *Client) Command(line string, digit int) error {
	if _, err := fmt.Fprintf(c.c, "%s\r\n", line); err != nil {
		return err
	}
	return c.expect(digit)
}

// Send hands a message over. text has LF line ends. The error is a *Reply if
// the server refused, and then nothing was accepted.
func (c *Client) Send(sender string, recipients []string, text string) error {
	if err := c.Command("MAIL FROM:<"+sender+">", 2); err != nil {
		return err
	}
	for _, r := range recipients {
		if err := c.Command("RCPT TO:<"+r+">", 2); err != nil {
			return err
		}
	}
	if err := c.Command("DATA", 3); err != nil {
		return err
	}
	if _, err := c.c.Write([]byte(stuffed(text))); err != nil {
		return err
	}
	return c.expect(2)
}

// Expect reads a reply, whose code begins with digit; a *Reply is the error
// otherwise.
func (c *Client) Expect(digit int) error { return c.expect(digit) }

// Quit says QUIT and closes.
func (c *Client) Quit() error {
	return errors.Join(c.Command("QUIT", 2), c.c.Close())
}

// stuffed returns the text as DATA carries it, with the final dot.
func stuffed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, ".") {
			b.WriteByte('.')
		}
		b.WriteString(strings.TrimSuffix(line, "\n"))
		b.WriteString("\r\n")
	}
	b.WriteString(".\r\n")
	return b.String()
}

func (c *Client) expect(digit int) error {
	var reply Reply
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			return fmt.Errorf("reply %q is none", line)
		}
		if reply.Code, err = strconv.Atoi(line[:3]); err != nil {
			return fmt.Errorf("reply %q is none", line)
		}
		more := len(line) > 3 && line[3] == '-'
		if reply.Text != "" {
			reply.Text += "\n"
		}
		reply.Text += line[min(4, len(line)):]
		if !more {
			break
		}
	}
	if reply.Code/100 != digit {
		return &reply
	}
	return nil
}
