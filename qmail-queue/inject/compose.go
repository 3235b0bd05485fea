package inject

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"postrider/internal/header"
)

// A composer makes the header that is queued, and on the way collects the
// recipients.
type composer struct {
	req     request
	rules   *rules
	id      identity
	letters injectLetters
	followup
	now time.Time
	pid int

	head       string
	survey     survey
	out        *bufio.Writer
	printer    *header.Printer // to out
	nowhere    *header.Printer // reads a field that is dropped
	count      int             // of addresses, in all fields
	arguments  []header.Addr
	named      recipients   // by the header
	returnPath *header.Addr // the first one
}

// A writeError is a failure of the output, not of the header.
type writeError struct{ err error }

func (e writeError) Error() string { return e.err.Error() }
func (e writeError) Unwrap() error { return e.err }

// failingWriter marks the errors of w.
type failingWriter struct{ w io.Writer }

func (f failingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, writeError{err}
	}
	return n, nil
}

// writeTo says where the header goes.
func (c *composer) writeTo(w *bufio.Writer) {
	c.out = w
	c.printer = header.NewPrinter(failingWriter{w})
	c.nowhere = header.NewPrinter(io.Discard)
}

// look reads what must be known before the first byte is written.
func (c *composer) look(head string) error {
	c.head, c.survey = head, surveyHeader(head, c.letters)
	if !c.survey.seen["return-path"] || c.req.sender != nil || c.letters.ignoreReturnPath {
		return nil
	}
	for head != "" && c.returnPath == nil {
		var field string
		field, head = header.Next(head)
		name, _ := header.Name(field)
		if c.survey.rule(name).name != "return-path" {
			continue
		}
		if err := c.takeReturnPath(field); err != nil {
			return err
		}
	}
	return nil
}

// header writes the header: what is added, then the fields as they came.
func (c *composer) header() error {
	if err := c.generate(); err != nil {
		return err
	}
	return c.fields()
}

func (c *composer) fields() error {
	for at := 0; at < len(c.head); {
		field, _ := header.Next(c.head[at:])
		if err := c.field(at, field); err != nil {
			return err
		}
		at += len(field)
	}
	return nil
}

// field writes the field that begins at a position of the header.
func (c *composer) field(at int, field string) error {
	name, _ := header.Name(field)
	rule := c.survey.rule(name)
	switch {
	case rule.name == "return-path":
		return nil
	case rule.kind == ofSender || c.takesRecipients(rule):
		return c.addressField(at, field, rule)
	case rule.dropped:
		return nil
	case rule.kind == ofRecipients && c.readable(field):
		return c.addressField(at, field, rule)
	}
	// What has no meaning for this sending passes as it is, even if it should
	// hold addresses and does not: nobody asked to send to them.
	_, err := c.out.WriteString(field)
	return err
}

// takesRecipients reports whether the addresses of a field are recipients.
func (c *composer) takesRecipients(rule fieldRule) bool {
	return c.req.usesHeader() && c.survey.names(rule)
}

// addressField writes a field of addresses, or only reads it if it is dropped.
func (c *composer) addressField(at int, field string, rule fieldRule) error {
	f := header.Split(field)
	bodyAt := at + strings.IndexByte(field, ':') + 1
	takes := c.takesRecipients(rule)
	printer := c.printer
	if rule.dropped {
		printer = c.nowhere
	}
	err := printer.Field(f.Name, f.Body, func(item header.Item) (header.Addr, error) {
		c.count++
		if c.count > maxAddresses {
			return header.Addr{}, errMany
		}
		if takes {
			if item.Addr.IsNull() {
				return header.Addr{}, errEmpty
			}
			c.named.add(bodyAt + item.At)
		}
		return c.rules.complete(item.Addr)
	})
	if err != nil {
		return fieldError(field, err)
	}
	c.named.endField(at + len(field))
	return nil
}

// readable reports whether a field that names nobody for this sending can be
// rewritten.
func (c *composer) readable(field string) bool {
	f := header.Split(field)
	p := header.NewParser(f.Body)
	for {
		item, ok := p.Next()
		if !ok {
			return p.Err() == nil
		}
		if _, err := c.rules.complete(item.Addr); err != nil {
			return false
		}
	}
}

// takeReturnPath reads the field that can name the sender.
func (c *composer) takeReturnPath(field string) error {
	p := header.NewParser(header.Split(field).Body)
	for {
		item, ok := p.Next()
		if !ok {
			break
		}
		if item.Kind != header.Mailbox || c.returnPath != nil {
			continue
		}
		a, err := c.rules.complete(item.Addr)
		if err != nil {
			return fieldError(field, err)
		}
		c.returnPath = &a
	}
	if p.Err() != nil {
		return fieldError(field, p.Err())
	}
	return nil
}

// fieldError shows the field that cannot be read.
func fieldError(field string, err error) error {
	var broken writeError
	if errors.As(err, &broken) {
		return broken.err
	}
	if errors.Is(err, errMany) {
		return refuse(err.Error())
	}
	return refuse("unable to parse this line:\n" + shown(field) + "(" + err.Error() + ")")
}
