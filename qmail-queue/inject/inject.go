package inject

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"postrider/internal/address"
	"postrider/internal/world"
)

// outBuffer holds a whole small message: it is understood before anything of
// it is submitted.
const outBuffer = 64 << 10

var errClosed = errors.New("standard input is closed")

// run sends the message on standard input, or prints it.
func run(w world.World, req request) error {
	c, err := newComposer(w, req)
	if err != nil {
		return err
	}
	if req.usesArguments() {
		if err := c.takeArguments(req.recipients); err != nil {
			return err
		}
	}
	if world.MadeByRuntime(w.Stdin) {
		return trouble("unable to read message", errClosed)
	}
	msg, err := readHeader(io.MultiReader(strings.NewReader(req.head), w.Stdin))
	if err != nil {
		return err
	}

	if err := c.look(msg.head); err != nil {
		return err
	}
	if err := c.lostRecipients(msg); err != nil {
		return err
	}
	sender, err := c.sender()
	if err != nil {
		return err
	}

	out := newOutlet(w, req)
	defer out.abort()
	c.writeTo(bufio.NewWriterSize(out, outBuffer))
	if req.print {
		if _, err := c.out.WriteString("Return-Path: <" + address.Quote(sender) + ">\n"); err != nil {
			return err
		}
	}
	if err := c.write(msg); err != nil {
		return err
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	return out.finish(sender, c.forEach)
}

func newComposer(w world.World, req request) (*composer, error) {
	c := &composer{req: req, letters: readLetters(w), now: w.Clock.Now(), pid: os.Getpid()}
	rules, err := readRules(w)
	if err != nil {
		return nil, err
	}
	c.rules = &rules
	if c.id, err = readIdentity(w, req); err != nil {
		return nil, err
	}
	c.followup, err = readFollowup(w)
	return c, err
}

// write writes the message. It does not begin the body of one that nobody is to
// get.
func (c *composer) write(msg *message) error {
	if err := c.header(); err != nil {
		return err
	}
	if c.recipientCount() == 0 && !c.req.print {
		return refuse("no recipients")
	}
	if msg.separated {
		if err := c.out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return msg.copyBody(c.out)
}
