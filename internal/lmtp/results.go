package lmtp

import (
	"fmt"
	"strings"

	"postrider/internal/fate"
	"postrider/internal/smtpwire"
)

// maxSaid is how much of what a server says is passed on.
const maxSaid = 1000

// away is the failure where the server has not said what becomes of the mail.
func away(t Target, step string, err error) error {
	return fate.Temp("4.2", fmt.Sprintf("Unable to deliver by LMTP: %s failed. (#4.4.2)", step), "LMTP "+step+" at "+t.String(), err)
}

// refused is the failure for a reply that was no success. Only a reply to a
// command about this mail can be the last word.
func refused(t Target, step string, r smtpwire.Reply, aboutMail bool) error {
	said := said(r.Text)
	op := "LMTP " + step + " at " + t.String()
	if r.Code >= 500 && aboutMail {
		code := codeOf(r.Text, '5')
		return fate.Perm(code, "LMTP server said: "+said+" (#5."+code+")", op, nil)
	}
	code := codeOf(r.Text, '4')
	return fate.Temp(code, "LMTP server said: "+said+" (#4."+code+")", op, nil)
}

// codeOf returns the enhanced status code of a reply without its class, if that
// agrees with the reply's.
func codeOf(text string, class byte) string {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields[1]) > 9 || len(fields[1]) < 5 || fields[1][0] != class || fields[1][1] != '.' {
		return "3.0"
	}
	code := fields[1][2:]
	subject, detail, found := strings.Cut(code, ".")
	if !found || !isNumber(subject) || !isNumber(detail) {
		return "3.0"
	}
	return code
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 3
}

// said is a reply as one line of printable ASCII.
func said(text string) string {
	text = strings.TrimRight(text[:min(len(text), maxSaid)], "\n")
	b := []byte(text)
	for i, c := range b {
		switch {
		case c == '\n':
			b[i] = ' '
		case c < ' ' || c > '~':
			b[i] = '?'
		}
	}
	return string(b)
}
