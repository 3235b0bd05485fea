package commands

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postrider/internal/enqueue"
	"postrider/internal/header"
	"postrider/internal/maildate"
	"postrider/internal/world"
)

const noticeRequested = "notice-requested-upon-delivery-to"

// Receipt is qreceipt: it tells the sender of a message that it was delivered,
// if he has asked for that (Notice-Requested-Upon-Delivery-To).
func Receipt(w world.World) int {
	if len(w.Args) != 2 {
		return usage(w, "qreceipt address")
	}
	sender, set := w.Getenv("SENDER")
	if !set {
		return fail(w, "qreceipt", exitNever, "SENDER is not set: qmail-local sets it for the programs in .qmail files")
	}
	head, err := readHead(w.Stdin)
	if errors.Is(err, errLongHead) {
		return exitDone
	}
	if err != nil {
		return fail(w, "qreceipt", exitLater, "unable to read the message: "+err.Error())
	}
	asked, id := false, ""
	fields(head, func(name, body string) {
		switch name {
		case noticeRequested:
			addresses(body, func(a header.Addr) { asked = asked || a.String() == w.Args[1] })
		case "message-id":
			id = "Message-ID:" + body + "\n"
		}
	})
	if !asked || sender == "" || sender == "#@[]" {
		return exitDone
	}
	return notify(w, sender, id)
}

// notify queues the notice, without a sender: nothing answers that.
func notify(w world.World, sender, id string) int {
	now := w.Clock.Now()
	var b strings.Builder
	fmt.Fprintf(&b, "Date: %s\nFrom: DELIVERY NOTICE SYSTEM <%s>\nTo: <%s>\nSubject: success notice\nAuto-Submitted: auto-replied\n\n",
		maildate.Header(now), quoted(sender), quoted(sender))
	fmt.Fprintf(&b, "Hi! This is the qreceipt program. Your message was delivered to the\nfollowing address: %s. Thanks for asking.\n", w.Args[1])
	if id != "" {
		b.WriteString("Your " + id)
	}
	queueProgram, _ := w.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: w.Home, QueueProgram: queueProgram, Environ: w.Environ})
	if err != nil {
		return refused(w, "qreceipt", err)
	}
	defer s.Abort()
	_, err = io.WriteString(s, b.String())
	err = errors.Join(err, s.Sender(""), s.Recipient(sender))
	var qp string
	if err == nil {
		qp, err = s.Commit()
	}
	if err != nil {
		return refused(w, "qreceipt", err)
	}
	_, _ = io.WriteString(w.Stderr, "qreceipt: qp "+qp+"\n")
	return exitDone
}
