package inject

import (
	"strings"
	"testing"
)

// TestSendmailFlags goes through the table of flags: what each does to a
// message, or how it is refused.
func TestSendmailFlags(t *testing.T) {
	t.Parallel()
	const input = "To: a@x.org\nBcc: b@x.org\nSubject: x\n\nhi\n.\nyou\n"
	for _, c := range []struct {
		args       string // split at blanks
		code       int
		says       string
		sender     string
		from       string
		recipients string
	}{
		{"joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"joe jim@x.org", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org jim@x.org"},
		{"-t", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "a@x.org b@x.org"},
		{"-t joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org a@x.org b@x.org"},
		{"-ti", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "a@x.org b@x.org"},
		{"-oi -t", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "a@x.org b@x.org"},
		{"-t -oi -- joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org a@x.org b@x.org"},
		{"-f s@y.org joe", 0, "", "s@y.org", "s@y.org", "joe@me.example.org"},
		{"-fs@y joe", 0, "", "s@y.me.example.org", "s@y.me.example.org", "joe@me.example.org"},
		{"-fs joe", 0, "", "s@me.example.org", "s@me.example.org", "joe@me.example.org"},
		{"-rs@y.org joe", 0, "", "s@y.org", "s@y.org", "joe@me.example.org"},
		{"-r s@y.org -f t@y.org joe", 0, "", "t@y.org", "t@y.org", "joe@me.example.org"},
		{"-f <> joe", 0, "", "", "user@me.example.org", "joe@me.example.org"},
		{"-f<s@y.org> joe", 0, "", "s@y.org", "s@y.org", "joe@me.example.org"},
		{"-FName joe", 0, "", "user@me.example.org", `"Name" <user@me.example.org>`, "joe@me.example.org"},
		{"-FName -fs@y.org joe", 0, "", "s@y.org", `"Name" <s@y.org>`, "joe@me.example.org"},
		{"-f s@y.org -F Name joe", 0, "", "s@y.org", `"Name" <s@y.org>`, "joe@me.example.org"},
		{"-bm joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-b m -t", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "a@x.org b@x.org"},

		// Ignored.
		{"-i -m -n -s -v -c -x -G -T -U joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-Am -Ac -A joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-B8BITMIME -B 7BIT -C /etc/x -em -e q -Ex -E -Jx -J -h3 -h 3 joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-d0-99.1 -d -Ltag -L tag -N never -Nfailure,delay -O A=b -OA=b joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-odb -oem -o i -oMs -p SMTP:x -Rhdrs -R full -Vx -V x -X/dev/null -X /dev/null joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},
		{"-q joe", 0, "", "user@me.example.org", `"Full" <user@me.example.org>`, "joe@me.example.org"},

		// Refused.
		{"", 100, "sendmail: no recipients: name them, or use -t", "", "", ""},
		{"-i -oi", 100, "sendmail: no recipients", "", "", ""},
		{"-bd", 100, "sendmail: -bd: the daemons are started by qmail-start\nsendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]\n", "", "", ""},
		{"-bd -q30m", 100, "-bd: ", "", "", ""},
		{"-bD", 100, "-bD: ", "", "", ""},
		{"-bl", 100, "-bl: ", "", "", ""},
		{"-ba", 100, "-ba: ", "", "", ""},
		{"-bh", 100, "-bh: ", "", "", ""},
		{"-bH", 100, "-bH: ", "", "", ""},
		{"-bt", 100, "-bt: ", "", "", ""},
		{"-bv joe", 100, "-bv: addresses are not verified", "", "", ""},
		{"-bz joe", 100, "unknown mode -bz", "", "", ""},
		{"-bi", 100, "newaliases: fatal: there is no alias database", "", "", ""},
		{"-I", 100, "newaliases: fatal: there is no alias database", "", "", ""},
		{"-D x joe", 100, "-D: there is no debug log", "", "", ""},
		{"-M1 joe", 100, "-M: ", "", "", ""},
		{"-Q joe", 100, "-Q: ", "", "", ""},
		{"-z joe", 100, "sendmail: illegal option -- z\nsendmail: usage: ", "", "", ""},
		{"-f", 100, "option requires an argument -- f", "", "", ""},
		{"--help", 100, "illegal option -- -", "", "", ""},
		{"-fa@b:c joe", 100, "sendmail: fatal: unable to use sender a@b:c", "", "", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"/usr/sbin/sendmail"}, strings.Fields(c.args)...)
			env := []string{"USER=user", "NAME=Full", "MAILNAME=Full", "PATH=/bin"}
			r := run1(t, Sendmail, usualControl, env, input, args...)
			if r.code != c.code || r.queued != (c.code == 0) || !strings.Contains(r.stderr, c.says) || c.says == "" && r.stderr != "" {
				t.Fatalf("exit %d, queued %v, says %q, want exit %d and %q", r.code, r.queued, r.stderr, c.code, c.says)
			}
			if c.code != 0 {
				return
			}
			want := date + id + "From: " + c.from + "\nTo: a@x.org\nSubject: x\n\nhi\n.\nyou\n"
			if got := strings.Join(r.recipients, " "); r.sender != c.sender || got != c.recipients || r.message != want {
				t.Errorf("from %q to %q, want %q to %q\n got %q\nwant %q", r.sender, got, c.sender, c.recipients, r.message, want)
			}
		})
	}
}

// TestSendmailRest: the ways that queue nothing and are no refusal either, and
// other names.
func TestSendmailRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"sendmail -q", 0, ""},
		{"sendmail -q30m", 0, ""},
		{"sendmail -t", 100, "sendmail: fatal: no recipients\n"},
		{"/usr/bin/newaliases", 100, "newaliases: fatal: "},
		// The home directory of the test has no bin/.
		{"/usr/bin/mailq", 111, "/bin/qmail-qread: no such file"},
		{"sendmail -bp", 111, "/bin/qmail-qread: no such file"},
		{"sendmail -bs", 111, "/bin/qmail-smtpd: no such file"},
		{"sendmail -bp -bm", 100, "no recipients"},
	} {
		r := run1(t, Sendmail, usualControl, nil, "Subject: x\n\n", strings.Fields(c.args)...)
		if r.code != c.code || r.queued || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: exit %d, queued %v, says %q, want %d, %q", c.args, r.code, r.queued, r.stderr, c.code, c.says)
		}
	}
}

// TestFlagTable: each letter once, each refusal with a reason.
func TestFlagTable(t *testing.T) {
	t.Parallel()
	seen := map[byte]bool{}
	for _, f := range flags() {
		if seen[f.letter] {
			t.Errorf("-%c twice", f.letter)
		}
		seen[f.letter] = true
		if (f.why != "") != (f.effect == refused) {
			t.Errorf("-%c: reason %q", f.letter, f.why)
		}
	}
	for _, m := range runModes() {
		if m.why != "" && m.start != nil {
			t.Errorf("-b%s is refused and does something", m.name)
		}
	}
	for _, letter := range "tfrFiobNqvBeRVhOGUACdnXL" {
		if !seen[byte(letter)] {
			t.Errorf("-%c is missing", letter)
		}
	}
}
