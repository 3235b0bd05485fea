package logread

import (
	"strings"
)

// sendForm is the form of a line: words in which names in braces stand for facts.
type sendForm struct {
	event string
	words []string
}

// sendForms are the lines of qmail-send, but for orders, warnings and alerts.
var sendForms = []sendForm{
	form("new", "new msg {msg}"),
	form("info", "info msg {msg}: bytes {bytes} from <{from}> qp {qp} uid {uid}"),
	form("starting delivery", "starting delivery {delivery}: msg {msg} to {channel} {recipient}"),
	form("success", "delivery {delivery}: success: {said}"),
	form("failure", "delivery {delivery}: failure: {said}"),
	form("deferral", "delivery {delivery}: deferral: {said}"),
	form("mangled", "delivery {delivery}: report mangled, will defer"),
	form("bounce", "bounce msg {msg} qp {qp}"),
	form("delay", "delay msg {msg} qp {qp}"),
	form("success notice", "success msg {msg} qp {qp}"),
	form("double bounce", "double bounce: discarding bounce/{msg}"),
	form("triple bounce", "triple bounce: discarding bounce/{msg}"),
	form("end", "end msg {msg}"),
	form("exiting", "status: exiting"),
	form("status", "status: local {local}/{locallimit} remote {remote}/{remotelimit}"),
	form("status", "status: local {local}/{locallimit} remote {remote}/{remotelimit} exitasap"),
}

func form(event, text string) sendForm { return sendForm{event, strings.Split(text, " ")} }

// parseSend reads a line of qmail-send.
func parseSend(line string) Line {
	if level, text, ok := cutLevel(line); ok {
		l := Line{Program: "qmail-send", Event: level, Text: text}
		l.named(text)
		return l
	}
	words := strings.Split(line, " ")
	for _, f := range sendForms {
		if l, ok := match(f, words); ok {
			return l
		}
	}
	if rest, found := strings.CutPrefix(line, "order of uid "); found {
		return order(rest)
	}
	return Line{Event: "note", Text: line}
}

// match compares word by word.
func match(f sendForm, words []string) (Line, bool) {
	if len(words) != len(f.words) {
		return Line{}, false
	}
	l := Line{Program: "qmail-send", Event: f.event}
	for i, want := range f.words {
		if !l.word(want, words[i]) {
			return Line{}, false
		}
	}
	return l, true
}

// word compares a word with what a form has in its place, which may have facts
// in braces, with other octets around and between them.
func (l *Line) word(want, word string) bool {
	for {
		before, rest, found := strings.Cut(want, "{")
		if !found {
			return want == word
		}
		name, after, _ := strings.Cut(rest, "}")
		word, found = strings.CutPrefix(word, before)
		if !found {
			return false
		}
		// The fact ends where what follows it in the form begins.
		next, _, _ := strings.Cut(after, "{")
		end := len(word)
		if next != "" {
			if end = strings.LastIndex(word, next); end < 0 {
				return false
			}
		}
		l.add(name, word[:end])
		want, word = after, word[end:]
	}
}

// order reads what follows "order of uid ": "5: hold msg 17..." or "5: hold 12
// messages".
func order(rest string) Line {
	l := Line{Program: "qmail-send", Event: "order"}
	uid, what, _ := strings.Cut(rest, ": ")
	l.add("uid", uid)
	if verb, id, found := strings.Cut(what, " msg "); found {
		l.add("order", verb)
		l.add("msg", id)
		return l
	}
	words := strings.Split(what, " ")
	if n := len(words); n > 2 && words[n-1] == "messages" {
		l.add("order", strings.Join(words[:n-2], " "))
		l.add("messages", words[n-2])
		return l
	}
	return Line{Program: "qmail-send", Event: "note", Text: "order of uid " + rest}
}

// named finds the message that an alert or warning is about: "message 17... is
// held", "unable to open queue/new/3/17...".
func (l *Line) named(text string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '/' || r == ':' || r == ';' }) {
		if IsID(word) {
			l.add("msg", word)
			return
		}
	}
}

// IsID reports whether s can be the number of a message of ours: 20 digits.
func IsID(s string) bool {
	if len(s) != 20 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
