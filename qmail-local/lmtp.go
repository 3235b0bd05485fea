package qmaillocal

import (
	"errors"
	"io"
	"os"
	"strings"

	"postrider/internal/address"
	"postrider/internal/fate"
	"postrider/internal/lmtp"
)

// usualRecipient is whom the server is told unless the line says otherwise.
const usualRecipient = "$LOCAL@$HOST"

// toLMTP hands the message to a delivery server: "unix:/path recipient".
func (d *delivery) toLMTP(line string) error {
	server, recipient, _ := strings.Cut(line, " ")
	if recipient = strings.TrimSpace(recipient); recipient == "" {
		recipient = usualRecipient
	}
	target, err := lmtp.ParseTarget(server)
	if err != nil {
		return fate.Temp("3.5", "Uh-oh: +lmtp names no server. (#4.3.5)", "+lmtp "+line, err)
	}
	to, err := address.New(d.substitute(recipient))
	if err == nil && !to.HasDomain() {
		err = errors.New("no domain")
	}
	if err != nil {
		return fate.Temp("3.5", "Uh-oh: +lmtp names no recipient. (#4.3.5)", "+lmtp "+line, err)
	}
	from, err := address.New(d.sender)
	if d.sender == "#@[]" { // a bounce of a bounce
		from, err = address.Address{}, nil
	}
	if err != nil {
		return fate.Temp("1.7", "Sender cannot be told to the server. (#4.1.7)", "+lmtp "+line, err)
	}
	if err := d.takeSlot(); err != nil {
		return err
	}
	message := io.MultiReader(strings.NewReader(d.lines.deliveredTo), d.message.reader())
	return d.lmtp.Deliver(target, lmtp.Mail{Sender: from, Recipient: to, Message: message})
}

// substitute puts the values of variables of this delivery in place of $NAME and
// ${NAME}. No shell sees them.
func (d *delivery) substitute(text string) string {
	return os.Expand(text, func(name string) string { return getenv(d.variables, name) })
}
