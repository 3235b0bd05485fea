package dsn

import (
	"net/netip"
	"strings"
)

// Reply is what a delivery agent's report says of the last attempt.
type Reply struct {
	Status string // RFC 3463
	Host   string // the address of the host that said Text; "": none
	SMTP   bool   // Text is an SMTP reply
	Text   string
}

const (
	remoteSaid = "\nRemote host said: "
	bracket    = " (#"
)

// Parse takes apart the report of a delivery agent (qmail-remote(8),
// qmail-local(8)): a text, in which a status may be at the end in brackets as
// (#5.1.1), or the reply of an SMTP server behind "Remote host said: ".
// Without a status it is 5.0.0, or 4.0.0 if the trouble is not permanent.
func Parse(report string, permanent bool) Reply {
	r := Reply{Text: report}
	if _, said, found := strings.Cut(report, remoteSaid); found {
		if status, ok := smtpStatus(said); ok {
			word, _, _ := strings.Cut(report, " ")
			if host, err := netip.ParseAddr(word); err == nil {
				r.Host = hostLiteral(host)
			}
			r.Status, r.SMTP, r.Text = status, true, said
			return r
		}
	}
	r.Status = "4.0.0"
	if permanent {
		r.Status = "5.0.0"
	}
	if i := strings.LastIndex(report, bracket); i >= 0 {
		inner, _, closed := strings.Cut(report[i+len(bracket):], ")")
		if closed && isStatus(inner) {
			r.Status = inner
		}
	}
	return r
}

// Success is the reply of an attempt that went well.
func Success(report string) Reply { return Reply{Status: "2.0.0", Text: report} }

// smtpStatus returns the status of an SMTP reply: its enhanced code, or one
// made of its first digit.
func smtpStatus(reply string) (status string, ok bool) {
	if len(reply) < 3 || reply[0] != '4' && reply[0] != '5' || !digits(reply[:3], 3) {
		return "", false
	}
	status = reply[:1] + ".0.0"
	if len(reply) > 4 {
		word := reply[4:]
		if end := strings.IndexAny(word, " \n"); end >= 0 {
			word = word[:end]
		}
		if isStatus(word) {
			status = word
		}
	}
	return status, true
}

// isStatus reports whether s is a status of trouble (RFC 3463 section 2).
func isStatus(s string) bool {
	class, rest, ok := strings.Cut(s, ".")
	if !ok || class != "4" && class != "5" {
		return false
	}
	subject, detail, ok := strings.Cut(rest, ".")
	return ok && digits(subject, 3) && digits(detail, 3)
}

func digits(s string, most int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= most
}

// hostLiteral is an address as it stands in brackets (RFC 5321 section 4.1.3).
func hostLiteral(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "IPv6:" + a.String()
	}
	return a.String()
}
