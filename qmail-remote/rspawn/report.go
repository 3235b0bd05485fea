package rspawn

import (
	"bytes"
	"os"

	"postrider/internal/wire/spawn"
)

// Exit statuses of qmail-remote, and of programs in its place.
const (
	statusMisused = 100
	statusTrouble = 111
)

// judge makes a result of what a run printed and how it ended (spec 3.3).
func judge(state *os.ProcessState, output []byte) spawn.Result {
	switch {
	case !state.Exited():
		return deferral("qmail-remote crashed.\n")
	case state.ExitCode() == statusMisused:
		return spawn.Result{Class: spawn.Failure, Text: "Unable to run qmail-remote.\n"}
	case state.ExitCode() != 0:
		return deferral("Unable to run qmail-remote.\n")
	case len(output) == 0:
		return deferral("qmail-remote produced no output.\n")
	}
	return combine(output)
}

func deferral(text string) spawn.Result { return spawn.Result{Class: spawn.Deferral, Text: text} }

// classes are the letters of results and of reports on a message, the best one
// last.
var classes = []byte{byte(spawn.Failure), byte(spawn.Deferral), byte(spawn.Success)}

// combine joins the report on the recipient, which comes first, and that on the
// message: the first of the letters K, Z and D decides, unless the recipient was
// put off (s) or refused (h). The text on the message is added unless it went
// better for the message than for the recipient.
func combine(output []byte) spawn.Result {
	reports := bytes.Split(output, []byte{0})
	if len(reports) > 1 && len(reports[len(reports)-1]) == 0 {
		reports = reports[:len(reports)-1]
	}
	message := rank(0)
	for _, r := range reports {
		if at := rankOf(r); at >= 0 {
			message = at
			break
		}
	}
	class := message
	switch first := letter(reports[0]); first {
	case 's':
		class = rankOf([]byte{byte(spawn.Deferral)})
	case 'h':
		class = rankOf([]byte{byte(spawn.Failure)})
	}
	text := withoutLetter(reports[0])
	if len(reports) > 1 && rankOf(reports[1]) >= 0 && message <= class {
		text += withoutLetter(reports[1])
	}
	return spawn.Result{Class: spawn.Class(classes[class]), Text: text}
}

// rank is a place in classes.
type rank int

// rankOf returns the rank of a report on a message; -1 if it is none.
func rankOf(report []byte) rank { return rank(bytes.IndexByte(classes, letter(report))) }

// letter is the first byte of a report; 0 of an empty one, which is in no list.
func letter(report []byte) byte {
	if len(report) == 0 {
		return 0
	}
	return report[0]
}

func withoutLetter(report []byte) string {
	if len(report) == 0 {
		return ""
	}
	return string(report[1:])
}
