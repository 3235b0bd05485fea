package filter

import (
	"strconv"
	"strings"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/milter"
	"postrider/internal/milterwire"
	milterlink "postrider/internal/wire/milter"
)

// maxListed is how many recipients a message in quarantine is said to be for.
const maxListed = 20

// loadQuarantine reads control/quarantine: the address to which messages go
// that a milter wants in quarantine. "" is none.
func loadQuarantine(dir control.Dir) (string, error) {
	line, err := dir.Line("quarantine", "")
	if err != nil || line == "" {
		return "", err
	}
	to, err := address.New(line)
	if err != nil || !to.HasDomain() {
		return "", errQuarantine
	}
	return to.Quoted(), nil
}

// noQuarantine is the reply to a message that a milter wants in quarantine where
// there is none: the sender still has it.
var noQuarantine = milterwire.Action{Verdict: milterwire.Refuse,
	Reply: milterwire.Reply{Code: 451, Enhanced: "4.7.1", Text: "the message is held by the mail filter (#4.7.1)"}}

// quarantined changes a message and its envelope so that it goes to the address
// for quarantine alone, and says what it was. Its sender does not hear of that.
func (t *transaction) quarantined(message *milter.Message, o *milter.Outcome) ([]byte, error) {
	to := strings.Join(t.recipients, ", ")
	if more := t.rcpts - len(t.recipients); more > 0 {
		to += ", and " + strconv.Itoa(more) + " more"
	}
	err := message.Insert([2]string{"X-Quarantine-Reason", o.Quarantine},
		[2]string{"X-Quarantine-Sender", "<" + t.sender + ">"}, [2]string{"X-Quarantine-Recipients", to})
	if err != nil {
		return nil, err
	}
	o.Envelope = nil
	return milterlink.AppendPath(milterlink.AppendPath(nil, milterlink.NewSender, ""), milterlink.OnlyRcpt, t.quarantine), nil
}
