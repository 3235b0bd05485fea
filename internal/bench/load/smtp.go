package load

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// patience bounds every wait for a server.
const patience = 2 * time.Minute

// refusal is a reply that is not the wanted one.
type refusal struct{ what, reply string }

func (r *refusal) Error() string { return r.what + ": " + r.reply }

// client waits for the reply to each command before the next, as smtp-source
// does, so that every mail system is asked in the same way.
type client struct {
	c net.Conn
	r *bufio.Reader
}

// dial connects, waits for the greeting and says hello.
func dial(server string) (*client, error) {
	conn, err := net.DialTimeout("tcp", server, patience)
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReaderSize(conn, 1024)}
	if err = c.expect('2', "greeting"); err == nil {
		err = c.command("EHLO client.test", '2')
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) command(line string, digit byte) error {
	if err := c.write([]byte(line + "\r\n")); err != nil {
		return err
	}
	return c.expect(digit, line)
}

func (c *client) write(b []byte) error {
	if err := c.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.c.Write(b)
	return err
}

// expect reads a reply, whose code shall begin with digit.
func (c *client) expect(digit byte, what string) error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if len(line) < 4 || line[0] != digit {
			return &refusal{what, string(bytes.TrimSpace(line)) + " "}
		}
		if line[3] != '-' {
			return nil
		}
	}
}

// message hands a message over; data ends with the final dot.
func (c *client) message(recipients []string, data []byte) error {
	if err := c.command("MAIL FROM:<s@client.test>", '2'); err != nil {
		return err
	}
	for _, r := range recipients {
		if err := c.command("RCPT TO:<"+r+">", '2'); err != nil {
			return err
		}
	}
	if err := c.command("DATA", '3'); err != nil {
		return err
	}
	if err := c.write(data); err != nil {
		return err
	}
	return c.expect('2', "end of data")
}

// quit says QUIT and closes. The message is accepted by then, whatever comes.
func (c *client) quit() error {
	err := c.command("QUIT", '2')
	if closeErr := c.c.Close(); err == nil {
		err = closeErr
	}
	return err
}

// text is a message of about size bytes, as DATA carries it.
func text(size int, recipient string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <s@client.test>\r\nTo: <%s>\r\nSubject: bench\r\n\r\n", recipient)
	line := strings.Repeat("x", 70) + "\r\n"
	for b.Len() < size {
		b.WriteString(line)
	}
	b.WriteString(".\r\n")
	return b.Bytes()
}

// one sends one message over a connection of its own and returns when it was
// accepted: what comes after the reply to the final dot (Exim waits in QUIT)
// is not the message's.
func one(server string, recipients []string, data []byte) (time.Time, error) {
	c, err := dial(server)
	if err != nil {
		return time.Time{}, err
	}
	if err := c.message(recipients, data); err != nil {
		c.c.Close()
		return time.Time{}, err
	}
	accepted := time.Now()
	return accepted, c.quit()
}
