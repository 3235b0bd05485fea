package inject

import (
	"strings"
	"testing"
)

const (
	date   = "Date: 22 Nov 2026 00:37:36 -0000\n"
	id     = "Message-ID: <20261122003736.PID.qmail@me.example.org>\n"
	from   = "From: user@me.example.org\n"
	hidden = "Cc: recipient list not shown: ;\n"
)

// TestMessage shows qmail-inject from its command line to the queue.
func TestMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		args       string // split at blanks
		env        string // split at |
		control    controlFiles
		input      string
		message    string
		sender     string
		recipients string
	}{
		{"everything is added", "joe@x.org", "USER=user", nil, "\nhi\n", date + id + from + hidden + "\nhi\n", "user@me.example.org", "joe@x.org"},
		{"nothing is added twice", "joe@x.org", "USER=user", nil,
			"From: a@x.org\nTo: b@x.org\nDate: today\nMessage-ID: <1@x.org>\n\nhi\n",
			"From: a@x.org\nTo: b@x.org\nDate: today\nMessage-ID: <1@x.org>\n\nhi\n", "user@me.example.org", "joe@x.org"},
		{"the header's recipients without arguments", "", "USER=user", nil, "To: a@x.org\nCc: b@x.org, c@x.org\nBcc: d@x.org\n\n",
			date + id + from + "To: a@x.org\nCc: b@x.org, c@x.org\n\n", "user@me.example.org", "a@x.org c@x.org b@x.org d@x.org"},
		{"-A: the arguments only", "-A joe@x.org", "USER=user", nil, "To: a@x.org\n\n", date + id + from + "To: a@x.org\n\n", "user@me.example.org", "joe@x.org"},
		{"-a: the arguments only", "-a joe@x.org", "USER=user", nil, "To: a@x.org\n\n", date + id + from + "To: a@x.org\n\n", "user@me.example.org", "joe@x.org"},
		{"-h: the header only", "-h joe@x.org", "USER=user", nil, "To: a@x.org\n\n", date + id + from + "To: a@x.org\n\n", "user@me.example.org", "a@x.org"},
		{"-H: both, arguments first", "-H joe@x.org jim", "USER=user", nil, "To: a@x.org\n\n", date + id + from + "To: a@x.org\n\n", "user@me.example.org", "joe@x.org jim@me.example.org a@x.org"},
		{"the last of -a -h counts", "-a -h joe@x.org", "USER=user", nil, "To: a@x.org\n\n", date + id + from + "To: a@x.org\n\n", "user@me.example.org", "a@x.org"},
		{"arguments are opaque before the last @", "a,b@x.org <c@x.org> d(e)f@x.org", "USER=user", nil, "\n", date + id + from + hidden + "\n", "user@me.example.org", "a,b@x.org c@x.org d(e)f@x.org"},
		{"-- ends the options", "-a -- -joe", "USER=user", nil, "\n", date + id + from + hidden + "\n", "user@me.example.org", "-joe@me.example.org"},

		{"no body", "joe@x.org", "USER=user", nil, "Subject: x\n", date + id + from + hidden + "Subject: x\n", "user@me.example.org", "joe@x.org"},
		{"no input", "joe@x.org", "USER=user", nil, "", date + id + from + hidden, "user@me.example.org", "joe@x.org"},
		{"a last line without LF", "joe@x.org", "USER=user", nil, "Subject: x", date + id + from + hidden + "Subject: x\n", "user@me.example.org", "joe@x.org"},
		{"a last body line without LF", "joe@x.org", "USER=user", nil, "\nhi", date + id + from + hidden + "\nhi\n", "user@me.example.org", "joe@x.org"},
		{"a lone dot is text", "joe@x.org", "USER=user", nil, "\na\n.\nb\n", date + id + from + hidden + "\na\n.\nb\n", "user@me.example.org", "joe@x.org"},
		{"a line that is no field begins the body", "joe@x.org", "USER=user", nil, "Subject: x\nhello\nTo: y\n", date + id + from + hidden + "Subject: x\n\nhello\nTo: y\n", "user@me.example.org", "joe@x.org"},
		{"the first line is text", "joe@x.org", "USER=user", nil, " x\n", date + id + from + hidden + "\n x\n", "user@me.example.org", "joe@x.org"},
		{"a name of bytes over 126 is none", "joe@x.org", "USER=user", nil, "S\xfcbject: x\n", date + id + from + hidden + "\nS\xfcbject: x\n", "user@me.example.org", "joe@x.org"},
		{"a mbox line", "joe@x.org", "USER=user", nil, "From joe Sun Nov 22 00:30:28 2026\nSubject: x\n\n", date + id + from + hidden + "MBOX-Line: From joe Sun Nov 22 00:30:28 2026\nSubject: x\n\n", "user@me.example.org", "joe@x.org"},
		{"CR LF in all lines", "", "USER=user", nil, "To: a@x.org,\r\n b@x.org\r\nSubject: x\r\n\r\nhi\r\n\r\nyou\r\n", date + id + from + "To: a@x.org, b@x.org\nSubject: x\n\nhi\n\nyou\n", "user@me.example.org", "b@x.org a@x.org"},
		{"CR LF in some lines of the header", "joe@x.org", "USER=user", nil, "Subject: x\nX-A: b\r\n\r\nhi\r\nyou\n", date + id + from + hidden + "Subject: x\nX-A: b\n\nhi\r\nyou\n", "user@me.example.org", "joe@x.org"},
		{"CRs in a body of LF lines", "joe@x.org", "USER=user", nil, "\na\rb\r\nc\r", date + id + from + hidden + "\na\rb\r\nc\r\n", "user@me.example.org", "joe@x.org"},
		{"CRs in a body of CR LF lines", "joe@x.org", "USER=user", nil, "\r\na\rb\r\r\nc\r", date + id + from + hidden + "\na\rb\r\nc\n", "user@me.example.org", "joe@x.org"},
		{"any bytes in a body", "joe@x.org", "USER=user", nil, "\n\x00\xff\n\x00", date + id + from + hidden + "\n\x00\xff\n\x00\n", "user@me.example.org", "joe@x.org"},

		{"resent", "", "USER=user", nil, "From: a@x.org\nTo: b@x.org\nDate: d\nMessage-ID: m\nResent-To: c\n\n",
			"Resent-" + date + "Resent-" + id + "Resent-" + from + "From: a@x.org\nTo: b@x.org\nDate: d\nMessage-ID: m\nResent-To: c@me.example.org\n\n",
			"user@me.example.org", "c@me.example.org"},
		{"resent to hidden recipients", "", "USER=user", nil, "To: b@x.org\nResent-Bcc: c@x.org\nResent-Date: d\n\n",
			"Resent-" + id + "Resent-" + from + "Resent-Cc: recipient list not shown: ;\nTo: b@x.org\nResent-Date: d\n\n",
			"user@me.example.org", "c@x.org"},
		{"a resent date makes it resent", "joe@x.org", "USER=user", nil, "Resent-Date: d\nBcc: b\n\n",
			"Resent-" + id + "Resent-" + from + "Resent-Cc: recipient list not shown: ;\nResent-Date: d\n\n",
			"user@me.example.org", "joe@x.org"},

		{"no user", "joe@x.org", "", nil, "\n", date + id + "From: anonymous@me.example.org\n" + hidden + "\n", "anonymous@me.example.org", "joe@x.org"},
		{"LOGNAME is last", "joe@x.org", "LOGNAME=l", nil, "To: x\n", date + id + "From: l@me.example.org\nTo: x@me.example.org\n", "l@me.example.org", "joe@x.org"},
		{"USER before LOGNAME", "joe@x.org", "LOGNAME=l|USER=u", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"MAILUSER before USER", "joe@x.org", "USER=u|MAILUSER=m", nil, "To: x\n", date + id + "From: m@me.example.org\nTo: x@me.example.org\n", "m@me.example.org", "joe@x.org"},
		{"QMAILUSER first, an empty variable is none", "joe@x.org", "MAILUSER=m|QMAILUSER=q|QMAILHOST=", nil, "To: x\n", date + id + "From: q@me.example.org\nTo: x@me.example.org\n", "q@me.example.org", "joe@x.org"},
		{"MAILHOST", "joe@x.org", "USER=u|MAILHOST=h", nil, "To: x\n", date + id + "From: u@h.me.example.org\nTo: x@me.example.org\n", "u@h.me.example.org", "joe@x.org"},
		{"QMAILHOST before MAILHOST", "joe@x.org", "USER=u|MAILHOST=h|QMAILHOST=q.example", nil, "To: x\n", date + id + "From: u@q.example\nTo: x@me.example.org\n", "u@q.example", "joe@x.org"},
		{"a user that needs quotes", "joe@x.org", "USER=a b", nil, "To: x\n", date + id + "From: \"a b\"@me.example.org\nTo: x@me.example.org\n", "a b@me.example.org", "joe@x.org"},
		{"QMAILSUSER and QMAILSHOST are the sender's", "joe@x.org", "USER=u|QMAILSUSER=s|QMAILSHOST=h.example", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "s@h.example", "joe@x.org"},
		{"NAME", "joe@x.org", "USER=u|NAME=Joe \"Q\" Public", nil, "To: x\n", date + id + "From: \"Joe \\\"Q\\\" Public\" <u@me.example.org>\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"MAILNAME before NAME", "joe@x.org", "USER=u|NAME=N|MAILNAME=M", nil, "To: x\n", date + id + "From: \"M\" <u@me.example.org>\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"QMAILNAME first", "joe@x.org", "USER=u|NAME=N|MAILNAME=M|QMAILNAME=Q", nil, "To: x\n", date + id + "From: \"Q\" <u@me.example.org>\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"control bytes in a name are blanks", "joe@x.org", "USER=u|NAME=a\tb\x1bc", nil, "To: x\n", date + id + "From: \"a b c\" <u@me.example.org>\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"c: a comment", "joe@x.org", "USER=u|NAME=A (b) \\c|QMAILINJECT=c", nil, "To: x\n", date + id + "From: u@me.example.org (A \\(b\\) \\\\c)\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"f: another From", "joe@x.org", "USER=u|QMAILINJECT=f", nil, "From: (\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"i: another Message-ID", "joe@x.org", "USER=u|QMAILINJECT=if", nil, "Message-ID: a\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},

		{"Return-Path names the sender", "joe@x.org", "USER=u", nil, "Return-Path: <a>, b\nReturn-Path: c\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "a@me.example.org", "joe@x.org"},
		{"a null Return-Path", "joe@x.org", "USER=u|QMAILINJECT=r", nil, "Return-Path: <>\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "", "joe@x.org"},
		{"s: Return-Path does not count", "joe@x.org", "USER=u|QMAILINJECT=s", nil, "Return-Path: (\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "u@me.example.org", "joe@x.org"},
		{"-f counts more", "-f me@h joe@x.org", "USER=u|QMAILINJECT=rm", nil, "Return-Path: (\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "me@h.me.example.org", "joe@x.org"},
		{"-f without a host", "-fme joe@x.org", "USER=u", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "me@me.example.org", "joe@x.org"},
		{"-f of a list", "-flist-@x.org-@[] joe@x.org", "USER=u", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "list-@x.org-@[]", "joe@x.org"},
		{"-f in brackets", "-f<a@x.org> joe@x.org", "USER=u", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "a@x.org", "joe@x.org"},
		{"-f <>", "-f <> joe@x.org", "USER=u", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "", "joe@x.org"},
		{"r: a sender for each recipient", "joe@x.org", "USER=u|QMAILINJECT=r", nil, "To: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "u-@me.example.org-@[]", "joe@x.org"},
		{"r with Return-Path", "joe@x.org", "USER=u|QMAILINJECT=r", nil, "Return-Path: a-@h\nTo: x\n", date + id + "From: u@me.example.org\nTo: x@me.example.org\n", "a-@h.me.example.org-@[]", "joe@x.org"},

		{"defaulthost, defaultdomain, plusdomain, idhost", "joe jim@h jane@h+", "USER=u",
			controlFiles{"me": "m", "defaulthost": "d+", "defaultdomain": "dd", "plusdomain": "pp.example", "idhost": "i"}, "To: x@y\n",
			date + "Message-ID: <20261122003736.PID.qmail@i>\nFrom: u@d.pp.example\nTo: x@y.dd\n", "u@d.pp.example", "joe@d.pp.example jim@h.dd jane@h.pp.example"},
		{"the environment before control", "joe jim@h jane@h+", "USER=u|QMAILDEFAULTHOST=d|QMAILDEFAULTDOMAIN=dd|QMAILPLUSDOMAIN=pp|QMAILIDHOST=i",
			nil, "To: x@y\n",
			date + "Message-ID: <20261122003736.PID.qmail@i>\nFrom: u@d.dd\nTo: x@y.dd\n", "u@d.dd", "joe@d.dd jim@h.dd jane@h.pp"},
		{"no control/me", "joe", "USER=u", controlFiles{"x": ""}, "To: x@y\n",
			date + "Message-ID: <20261122003736.PID.qmail@idhost>\nFrom: u@defaulthost.defaultdomain\nTo: x@y.defaultdomain\n",
			"u@defaulthost.defaultdomain", "joe@defaulthost.defaultdomain"},
		{"an empty defaultdomain", "joe jim@h", "USER=u", controlFiles{"me": "m", "defaultdomain": ""}, "To: x@y\n",
			date + "Message-ID: <20261122003736.PID.qmail@m>\nFrom: u@m\nTo: x@y\n", "u@m", "joe@m jim@h"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.control == nil {
				c.control = usualControl
			}
			args := append([]string{"qmail-inject"}, strings.Fields(c.args)...)
			r := run1(t, Main, c.control, strings.Split(c.env, "|"), c.input, args...)
			if r.code != 0 || r.stderr != "" || r.stdout != "" || !r.queued {
				t.Fatalf("exit %d, queued %v, stderr %q", r.code, r.queued, r.stderr)
			}
			if r.message != c.message {
				t.Errorf("message\n%q, want\n%q", r.message, c.message)
			}
			if got := strings.Join(r.recipients, " "); r.sender != c.sender || got != c.recipients {
				t.Errorf("from %q to %q, want from %q to %q", r.sender, got, c.sender, c.recipients)
			}
		})
	}
}

// TestVERPMessage: both letters (spec section 7.1).
func TestVERPMessage(t *testing.T) {
	t.Parallel()
	r := run1(t, Main, usualControl, []string{"USER=u", "QMAILINJECT=mr"}, "\n", "qmail-inject", "joe")
	if !strings.HasPrefix(r.sender, "u-1795307856.") || !strings.HasSuffix(r.sender, "-@me.example.org-@[]") {
		t.Errorf("sender %q", r.sender)
	}
}

// TestFollowup shows Mail-Followup-To.
func TestFollowup(t *testing.T) {
	t.Parallel()
	lists := t.TempDir() + "/lists"
	writeFile(t, lists, "# mine\nTalk@Lists.example\n")
	env := []string{"USER=user", "QMAILMFTFILE=" + lists}
	head := "To: talk@lists.EXAMPLE, a\nCc: b@x.org,\n c@x.org\n"
	rewritten := "To: talk@lists.EXAMPLE, a@me.example.org\nCc: b@x.org, c@x.org\n"
	for _, c := range []struct{ name, in, want string }{
		{"a list of mine", head, date + id + from + "Mail-Followup-To: b@x.org,\n  c@x.org,\n  talk@lists.EXAMPLE,\n  a@me.example.org\n" + rewritten},
		{"not to a list", "To: a\n", date + id + from + "To: a@me.example.org\n"},
		{"there already", head + "Mail-Followup-To: x\n", date + id + from + rewritten + "Mail-Followup-To: x\n"},
		{"resent", head + "Resent-To: x@x.org\n", "Resent-" + date + "Resent-" + id + "Resent-" + from + rewritten + "Resent-To: x@x.org\n"},
	} {
		r := run1(t, Main, usualControl, env, c.in, "qmail-inject")
		if r.code != 0 || r.message != c.want {
			t.Errorf("%s: exit %d %s\n got %q\nwant %q", c.name, r.code, r.stderr, r.message, c.want)
		}
	}
	r := run1(t, Main, usualControl, []string{"QMAILMFTFILE=" + lists + "/x"}, head, "qmail-inject")
	if r.code != exitTemporary {
		t.Errorf("a list that cannot be read: exit %d %s", r.code, r.stderr)
	}
}

// TestPrint shows -n.
func TestPrint(t *testing.T) {
	t.Parallel()
	r := run1(t, Main, usualControl, []string{"USER=user"}, "Bcc: x\nSubject: y\n\nhi\n", "qmail-inject", "-n", "-fa b@x.org")
	want := "Return-Path: <\"a b\"@x.org>\n" + date + id + from + hidden + "Subject: y\n\nhi\n"
	if r.code != 0 || r.queued || r.stdout != want {
		t.Errorf("exit %d, queued %v, output %q, want %q", r.code, r.queued, r.stdout, want)
	}
	if r := run1(t, Main, usualControl, nil, "\n", "qmail-inject", "-nN", "joe"); r.code != 0 || !r.queued || r.stdout != "" {
		t.Errorf("-N after -n: exit %d, queued %v, output %q", r.code, r.queued, r.stdout)
	}
}

// TestRefusals shows exit codes and messages, and that nothing is queued.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, args, env string
		control         controlFiles
		input           string
		code            int
		says            string
	}{
		{"no recipients", "", "", nil, "Subject: x\n\n", 100, "qmail-inject: fatal: no recipients\n"},
		{"no recipients with -a", "-a", "", nil, "To: x\n\n", 100, "qmail-inject: fatal: no recipients\n"},
		{"no recipients but the null address", "", "", nil, "To: <>\n\n", 100, "no recipients"},
		{"an empty group", "", "", nil, "To: undisclosed-recipients:;\n\n", 100, "no recipients"},
		{"only ordinary recipients in a resent message", "", "", nil, "To: x\nResent-Date: y\n\n", 100, "no recipients"},
		{"unreadable", "", "", nil, "To: foo: a@b, c@d\n\n", 100, "qmail-inject: fatal: unable to parse this line:\nTo: foo: a@b, c@d\n"},
		{"unreadable with arguments, too", "-H joe", "", nil, "To: (\n\n", 100, "unable to parse this line:\nTo: (\n"},
		{"an unknown option", "-x joe", "", nil, "\n", 100, "qmail-inject: illegal option -- x\nqmail-inject: usage: "},
		{"no argument", "-f", "", nil, "\n", 100, "qmail-inject: option requires an argument -- f\n"},
		{"a control byte in an argument", "j\x01oe", "", nil, "\n", 100, "unable to use recipient j?oe: control byte"},
		{"a domain that is none", "joe@x,jim@y,z", "", nil, "\n", 100, "domain"},
		{"no local part", "@x", "", nil, "\n", 100, "unable to use recipient @x: address without a local part"},
		{"brackets only", "<>", "", nil, "\n", 100, "local part"},
		{"a long recipient", strings.Repeat("x", 1000) + "@y", "", nil, "\n", 100, "too long"},
		{"a sender that is none", "-fa@b:c joe", "", nil, "\n", 100, "unable to use sender a@b:c"},
		{"a long sender", "joe", "QMAILINJECT=r|USER=" + strings.Repeat("x", 985), nil, "\n", 100, "unable to use sender"},
		{"a line end in the name", "joe", "NAME=x\nBcc: y", nil, "\n", 100, "full name has a line end"},
		{"a CR in the name", "joe", "NAME=x\rBcc: y", nil, "\n", 100, "full name has a line end"},
		{"a line end in the user", "joe", "USER=x\nBcc: y", nil, "\n", 100, "unable to use your address x"},
		{"a line end in the host", "joe", "QMAILHOST=x\nBcc: y", nil, "\n", 100, "unable to use your address"},
		{"a line end in the ID's host", "joe", "QMAILIDHOST=x\nBcc:y", nil, "\n", 100, "QMAILIDHOST is no domain"},
		{"a control file with CR LF", "joe", "", controlFiles{"me": "x.example\r\n"}, "\n", 111, "/control/defaultdomain (or me)"},
		{"a long header", "joe", "", nil, strings.Repeat("X: y\n", maxHeader/5+2), 100, "header is longer than 4194304 bytes"},
		{"a long header line", "joe", "", nil, "X: " + strings.Repeat("y", maxHeader), 100, "header is longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.control == nil {
				c.control = usualControl
			}
			args := append([]string{"qmail-inject"}, strings.Fields(c.args)...)
			r := run1(t, Main, c.control, strings.Split(c.env, "|"), c.input, args...)
			if r.code != c.code || r.queued || !strings.Contains(r.stderr, c.says) {
				t.Errorf("exit %d, queued %v, says %q, want exit %d and %q", r.code, r.queued, r.stderr, c.code, c.says)
			}
		})
	}
}

// TestQueueRefuses shows what becomes of the queue program's exit codes (spec
// section 1.3).
func TestQueueRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		exit string
		code int
		says string
	}{
		{"31", 100, "qmail-inject: fatal: mail server permanently rejected message (#5.3.0)\n"},
		{"53", 111, "qmail-inject: fatal: qq write error or disk full (#4.3.0)\n"},
		{"111", 111, "qmail-inject: fatal: qq temporary problem (#4.3.0)\n"},
	} {
		r := run1(t, Main, usualControl, []string{"RECORD_EXIT=" + c.exit}, "\n", "qmail-inject", "joe")
		if r.code != c.code || r.stderr != c.says {
			t.Errorf("queue program's exit %s: exit %d, says %q, want %d, %q", c.exit, r.code, r.stderr, c.code, c.says)
		}
	}
}

// TestLargeBody: bodies stream, whatever their line ends.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	for _, lf := range []string{"\n", "\r\n"} {
		line := strings.Repeat("x", 70000)
		r := run1(t, Main, usualControl, []string{"USER=user"}, "To: a@x.org"+lf+lf+strings.Repeat(line+lf, 20), "qmail-inject")
		want := date + id + from + "To: a@x.org\n\n" + strings.Repeat(line+"\n", 20)
		if r.code != 0 || r.message != want {
			t.Errorf("%q: exit %d, %d bytes, want %d", lf, r.code, len(r.message), len(want))
		}
	}
}

// TestLargeHeaderThenWrong: a header larger than what is held back is taken
// back when its end is wrong.
func TestLargeHeaderThenWrong(t *testing.T) {
	t.Parallel()
	r := run1(t, Main, usualControl, nil, strings.Repeat("X-Y: z\n", 100000)+"To: (\n\n", "qmail-inject")
	if r.code != 100 || r.queued {
		t.Errorf("exit %d, queued %v, %s", r.code, r.queued, r.stderr)
	}
}
