package qmtp

import (
	"errors"
	"strconv"
	"time"

	"postrider/internal/fate"
)

// Classes of answers: their first octet.
const (
	classOK        = 'K'
	classTemporary = 'Z'
	classPermanent = 'D'
)

// answer is what a client is told about a recipient or a message.
type answer struct {
	class byte // 0: none yet
	text  string
	rule  string // what decided, if that is a policy: a control file, mostly
}

// The sentences are qmail's own where qmail has one (spec sections 8.2, 8.3 and
// 1.3).
var (
	answerBadSender     = answer{class: classPermanent, text: "unacceptable sender (#5.1.7)"}
	answerBadAddress    = answer{class: classPermanent, text: "sorry, I can't accept addresses like that (#5.1.3)"}
	answerBadMailFrom   = answer{class: classPermanent, text: "sorry, your envelope sender is in my badmailfrom list (#5.7.1)", rule: "badmailfrom"}
	answerTooBig        = answer{class: classPermanent, text: "sorry, that message size exceeds my databytes limit (#5.3.4)", rule: "databytes"}
	answerTooManyHops   = answer{class: classPermanent, text: "too many hops, this message is looping (#5.4.6)"}
	answerTooManyRcpts  = answer{class: classTemporary, text: "too many recipients (#4.5.3)", rule: "maxrcpt"}
	answerTooManyForAll = answer{class: classPermanent, text: "sorry, that message has too many recipients (#5.5.3)", rule: "maxrcpt"}
	answerNoFilter      = answer{class: classTemporary, text: "the mail filter for your address is not available (#4.3.5)"}
	answerNoQueue       = answer{class: classTemporary, text: "qqt failure (#4.3.0)"}
)

// verdict is what is to be said about one recipient.
type verdict byte

const (
	accepted verdict = iota // what becomes of the message
	notRcptHost
	cannot
	badMailTo
	badRcptTo
	hostsUnsure
	noMailbox
	mailboxFull
	mailboxUnsure
	harvester
)

var verdicts = [...]answer{
	accepted:      {},
	notRcptHost:   {class: classPermanent, text: "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", rule: "rcpthosts"},
	cannot:        {class: classPermanent, text: "sorry, I can't handle that recipient (#5.1.3)"},
	badMailTo:     {class: classPermanent, text: "sorry, your envelope recipient has been denied (#5.7.1)", rule: "badmailto"},
	badRcptTo:     {class: classPermanent, text: "sorry, your envelope recipient has been denied (#5.7.1)", rule: "badrcptto"},
	hostsUnsure:   {class: classTemporary, text: "unable to read my list of allowed rcpthosts (#4.3.0)"},
	noMailbox:     {class: classPermanent, text: "sorry, no mailbox here by that name (#5.1.1)", rule: "verifyrcpt"},
	mailboxFull:   {class: classPermanent, text: "sorry, recipient mailbox is full (#5.2.2)", rule: "verifyrcpt"},
	mailboxUnsure: {class: classTemporary, text: "unable to verify that recipient now, try again later (#4.3.0)", rule: "verifyrcpt"},
	harvester:     {class: classTemporary, text: "too many invalid addresses (#4.3.0)", rule: "maxbadrcpt"},
}

// acceptedAnswer is that to a message that is queued.
func acceptedAnswer(now time.Time, id string) answer {
	return answer{class: classOK, text: "ok " + strconv.FormatInt(now.Unix(), 10) + " qp " + id}
}

// queueAnswer says why the queue did not take a message.
func queueAnswer(err error) answer {
	var e *fate.Error
	if !errors.As(err, &e) {
		return answerNoQueue
	}
	a := answer{class: classTemporary, text: printable(e.Text)}
	if e.Class == fate.Permanent {
		a.class = classPermanent
	}
	if a.text == "" {
		a.text = "qq trouble (#" + e.Status() + ")"
	}
	return a
}

// refusedAnswer is rblsmtpd's for a client whose rule sets RBLSMTPD: temporary,
// or permanent if the text begins with "-" (spec section 6.5).
func refusedAnswer(text string) answer {
	if text[0] == '-' {
		return answer{class: classPermanent, text: printable(text[1:]), rule: "RBLSMTPD"}
	}
	return answer{class: classTemporary, text: printable(text), rule: "RBLSMTPD"}
}

// printable makes one line of ASCII of a text that an administrator or a
// program of his wrote.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
