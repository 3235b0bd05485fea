package milter

import (
	"context"
	"net"
	"net/netip"
	"time"

	"postrider/internal/milterwire"
)

const (
	// dialTime bounds the wait for a connection, as does the milter's timeout.
	dialTime = 10 * time.Second
	// stepTime is the longest that one milter may take for a command, endTime
	// for a message, however often it says that it needs more time.
	stepTime = 2 * time.Minute
	endTime  = 5 * time.Minute
)

// Client is whose transaction it is.
type Client struct {
	IP     netip.Addr
	Port   uint16
	Host   string // its name, or "unknown"
	Helo   string
	Macros milterwire.Macros
}

// Transaction is one, from MAIL to the end of its message. It is not safe for
// concurrent use.
type Transaction struct {
	milters []*asked
	client  Client
	log     func(line string)
	// ended, if it has a verdict, is what all that follows is answered.
	ended milterwire.Action
}

// asked is a milter in a transaction.
type asked struct {
	Milter
	link net.Conn // nil: not connected, or not any more
	conn *milterwire.Conn
	done bool // nothing more concerns it
}

var proceed = milterwire.Action{Verdict: milterwire.Continue}

// Begin begins a transaction; nothing is asked yet. Lines about milters that
// fail go to log.
func Begin(milters []Milter, client Client, log func(line string)) *Transaction {
	t := &Transaction{client: client, log: log}
	for _, m := range milters {
		t.milters = append(t.milters, &asked{Milter: m})
	}
	return t
}

// Close ends the transaction, whatever became of it.
func (t *Transaction) Close() {
	for _, m := range t.milters {
		m.close(true)
	}
}

func (m *asked) close(aborted bool) {
	if m.link == nil {
		return
	}
	if m.conn != nil {
		m.conn.Until(time.Now().Add(time.Second))
		m.conn.Quit(aborted)
	}
	_ = m.link.Close() // all that counts was answered
	m.link, m.conn, m.done = nil, nil, true
}

// Mail tells the milters who the client and the sender are. If it is refused,
// there is no transaction.
func (t *Transaction) Mail(sender string, parameters []string) milterwire.Action {
	t.client.Macros["{mail_addr}"] = sender
	a := t.each(func(m *asked) (milterwire.Action, error) {
		a, err := m.greet(&t.client)
		if err != nil || a.Verdict != milterwire.Continue {
			return a, err
		}
		return m.conn.Mail(t.client.Macros, sender, parameters)
	})
	if a.Verdict == milterwire.Refuse {
		t.ended = a
	}
	return a
}

// greet connects and tells who the client is.
func (m *asked) greet(c *Client) (milterwire.Action, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(dialTime, m.timeout))
	defer cancel()
	link, err := new(net.Dialer).DialContext(ctx, m.network, m.address)
	if err != nil {
		return proceed, err
	}
	m.link = link
	if m.conn, err = milterwire.Open(link, m.timeout); err != nil {
		return proceed, err
	}
	m.conn.Until(time.Now().Add(stepTime))
	family, address := byte('U'), ""
	switch {
	case c.IP.Is4():
		family, address = '4', c.IP.String()
	case c.IP.Is6():
		family, address = '6', "IPv6:"+c.IP.String()
	}
	a, err := m.conn.Connect(c.Macros, c.Host, family, c.Port, address)
	if err == nil && a.Verdict == milterwire.Continue && c.Helo != "" {
		a, err = m.conn.Helo(c.Macros, c.Helo)
	}
	return a, err
}

// Rcpt tells them a recipient; a refusal concerns no other one.
func (t *Transaction) Rcpt(recipient string, parameters []string) milterwire.Action {
	t.client.Macros["{rcpt_addr}"] = recipient
	return t.each(func(m *asked) (milterwire.Action, error) {
		return m.conn.Rcpt(t.client.Macros, recipient, parameters)
	})
}

// Data tells them that the message comes.
func (t *Transaction) Data() milterwire.Action {
	a := t.each(func(m *asked) (milterwire.Action, error) { return m.conn.Data(t.client.Macros) })
	if a.Verdict == milterwire.Refuse {
		t.ended = a
	}
	return a
}

// each asks one milter after another, until one decides for all.
func (t *Transaction) each(ask func(*asked) (milterwire.Action, error)) milterwire.Action {
	if t.ended.Verdict != 0 {
		return t.ended
	}
	for _, m := range t.milters {
		if m.done {
			continue
		}
		if m.conn != nil {
			m.conn.Until(time.Now().Add(stepTime))
		}
		a, err := ask(m)
		if err != nil {
			a = t.fail(m, err)
		}
		switch a.Verdict {
		case milterwire.Accept:
			m.close(false)
			m.done = true
		case milterwire.Discard:
			t.ended = a
			return a
		case milterwire.Refuse:
			return a
		}
	}
	return proceed
}

// fail gives a milter up and returns what counts instead of its verdict.
func (t *Transaction) fail(m *asked, err error) milterwire.Action {
	t.log("milter " + m.Name + ": " + err.Error())
	m.conn = nil // it would not understand a farewell
	m.close(false)
	m.done = true
	if m.failed.Verdict == milterwire.Refuse {
		t.ended = m.failed
	}
	return m.failed
}
