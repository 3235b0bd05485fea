package inject

import (
	"strings"

	"postrider/internal/world"
)

const mailsubjUsage = "mailsubj: usage: mailsubj subject recip ..."

// MailSubj is mailsubj: it sends what it reads, with a subject, to recipients
// that are written as in a header.
func MailSubj(w world.World) int {
	if len(w.Args) < 3 {
		say(w.Stderr, mailsubjUsage)
		return exitPermanent
	}
	for _, word := range w.Args[1:] {
		if !printable(word) {
			say(w.Stderr, "mailsubj: fatal: control byte in "+shown(word))
			return exitPermanent
		}
	}
	// qmail's joins recipients with blanks. Then one without brackets would
	// become part of the name of the next one, and get nothing.
	head := "Subject: " + w.Args[1] + "\nTo: " + strings.Join(w.Args[2:], ", ") + "\n\n"
	req := request{program: "mailsubj", source: fromHeader, head: head}
	return report(w.Stderr, req.program, qmailExits, run(w, req))
}
