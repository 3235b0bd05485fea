package qmailremote

import (
	"context"
	"errors"
	"os"
	"syscall"

	"postrider/internal/address"
	"postrider/internal/world"
)

// classicMain is "qmail-remote host sender recipient...", message on
// descriptor 0, reports on descriptor 1. The status is always 0: the reports
// tell (spec 5.1).
func classicMain(w world.World) int {
	return classic(w, newClient(w, 0))
}

func classic(w world.World, c *client) int {
	defer c.pool.close()
	o := classicDelivery(w, c)
	if _, err := w.Stdout.WriteString(classicReports(o)); err != nil {
		// The caller has no reports: it treats that as temporary.
		return exitTrouble
	}
	return 0
}

func classicDelivery(w world.World, c *client) outcome {
	if len(w.Args) < 4 {
		return whole(badInvocation())
	}
	if info, err := os.Stat(w.Home); err != nil || !info.IsDir() {
		return whole(noHome())
	}
	m, failed := classicMail(w.Args[2], w.Args[3:])
	if failed != nil {
		return whole(failed)
	}
	b, err := openBody(w.Stdin)
	if errors.Is(err, syscall.ENOMEM) {
		return whole(noMemory())
	}
	if err != nil {
		return whole(unreadable())
	}
	m.body = b
	o, err := c.deliver(context.Background(), w.Args[1], m)
	if err != nil {
		warn(w.Stderr, "%v", err)
	}
	return o
}

// classicMail makes addresses of operands. Those that are none, with a line
// end for instance, go nowhere.
func classicMail(sender string, recipients []string) (mail, *report) {
	from, err := address.New(sender)
	if err != nil {
		return mail{}, unsendableSender()
	}
	m := mail{sender: from}
	for _, s := range recipients {
		a, err := address.New(s)
		if err != nil {
			a = address.Address{} // the null address: refused as a recipient
		}
		m.recipients = append(m.recipients, a)
	}
	return m, nil
}

// classicReports is an outcome as the callers of qmail-remote read it.
func classicReports(o outcome) string {
	var out []byte
	for _, r := range o.recipients {
		text := r.text
		if r.class == rcptTaken {
			text = ""
		}
		out = append(append(append(out, r.class), text...), 0)
	}
	return string(append(append(append(out, o.message.class), o.message.text...), 0))
}
