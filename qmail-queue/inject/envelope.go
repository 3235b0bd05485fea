package inject

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"postrider/internal/address"
	"postrider/internal/header"
)

// maxAddresses bounds what one header may ask for. With it, a header of nothing
// but commas and letters is refused before it has cost a second (R43).
const maxAddresses = 300000

var errMany = errors.New("more than " + strconv.Itoa(maxAddresses) + " addresses in the header")

// errEmpty is of a field like "To: Joe <>": somebody meant to name somebody.
var errEmpty = errors.New("empty address among the recipients")

// recipients is where the addresses of recipients are in the header, in the
// order of the envelope: they are read again when that is written. So a header
// of nothing but short addresses needs no more memory than itself.
type recipients struct {
	at    []int32
	ends  []int32 // of the fields that have some of them
	field int     // which of at is the first one of this field
}

func (r *recipients) add(at int) { r.at = appendMany(r.at, at) }

// appendMany appends to what has at most maxAddresses. What is not usual gets
// all the room at once, so that it is not in memory twice; room that is not used
// takes none.
func appendMany(positions []int32, at int) []int32 {
	const usual = 1024
	if len(positions) == usual {
		positions = slices.Grow(positions, maxAddresses-usual)
	}
	return append(positions, int32(at))
}

// endField ends a field, which has its addresses in the envelope from its end
// to its beginning (spec section 7.1).
func (r *recipients) endField(end int) {
	if r.field == len(r.at) {
		return
	}
	slices.Reverse(r.at[r.field:])
	r.ends = appendMany(r.ends, end)
	r.field = len(r.at)
}

// forEach calls use with the recipients in the order of the envelope: the
// arguments, then the fields from top to bottom.
func (c *composer) forEach(use func(string) error) error {
	for _, a := range c.arguments {
		if err := use(a.String()); err != nil {
			return err
		}
	}
	ends := c.named.ends
	for _, at := range c.named.at {
		if at >= ends[0] {
			ends = ends[1:]
		}
		a, err := header.AddrAt(c.head[:ends[0]], int(at))
		if err == nil {
			a, err = c.rules.complete(a)
		}
		if err == nil {
			err = use(a.String())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *composer) recipientCount() int { return len(c.arguments) + len(c.named.at) }

// takeArguments reads the recipients of the command line.
func (c *composer) takeArguments(words []string) error {
	for _, word := range words {
		a, err := c.rules.argument(word)
		if err != nil {
			return refuse("unable to use recipient " + shown(word) + ": " + err.Error())
		}
		c.arguments = append(c.arguments, a)
	}
	return nil
}

// verpMark ends a sender that is different for each recipient (spec section
// 2.3).
const verpMark = "-@[]"

// sender returns the envelope sender: -f, else the first address of
// Return-Path, else who the user is.
func (c *composer) sender() (string, error) {
	var s string
	switch {
	case c.req.sender != nil && nullSender(*c.req.sender):
		return "", nil
	case c.req.sender != nil:
		a, err := c.rules.argument(*c.req.sender)
		if err != nil {
			return "", refuse("unable to use sender " + shown(*c.req.sender) + ": " + err.Error())
		}
		s = a.String()
	case c.returnPath != nil:
		s = c.returnPath.String()
		if s != "" && c.letters.verpRecipient {
			s += verpMark
		}
	default:
		a, err := c.ownAddress(c.senderUser(), c.id.senderHost)
		if err != nil {
			return "", err
		}
		s = a.String()
		if c.letters.verpRecipient {
			s += verpMark
		}
	}
	if _, err := address.New(s); err != nil {
		return "", refuse("unable to use sender " + shown(s) + ": " + err.Error())
	}
	return s, nil
}

// senderUser is the local part of the sender, with what tells this message from
// others.
func (c *composer) senderUser() string {
	user := c.id.senderUser
	if c.letters.verpMessage {
		user += fmt.Sprintf("-%d.%d", c.now.Unix(), c.pid)
	}
	if c.letters.verpRecipient {
		user += "-"
	}
	return user
}

// ownAddress makes an address of the user's name and host.
func (c *composer) ownAddress(user, host string) (header.Addr, error) {
	a, err := header.NewAddr(user, host)
	if err == nil {
		a, err = c.rules.complete(a)
	}
	if err != nil {
		return header.Addr{}, refuse("unable to use your address " + shown(user+"@"+host) + ": " + err.Error())
	}
	return a, nil
}
