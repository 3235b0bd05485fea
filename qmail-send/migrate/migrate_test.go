package migrate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/internal/migrate"
)

// TestSites: sites as there are become ours, and both say the same of each address.
// What has no equivalent is named, and nothing else.
func TestSites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		system string
		asked  int               // at least so many addresses
		lost   []string          // what they begin with, in their order
		files  map[string]string // of the directory
	}{
		{
			system: "qmail", asked: 70,
			lost: []string{
				".*\\.dynamic\\..*", "!.*@good\\.example$", "control/spfexp", "control/taps", "control/tarpitcount", "control/what-is-this",
				"CHKUSER_START=NONE", "TLSCIPHERS=ALL",
			},
			files: map[string]string{
				"control/me":              "mx1.provider.example\n",
				"control/virtualdomains":  "# domains of customers\nshop.example:carol-shop\nlists.example:lists\nbox.example:box.example\nboxes.example:boxes.example\n.wild.example:alias-wild\nboss@one.example:alice-boss\nx.wild.example:\n",
				"control/badmailfrom":     "spammer@bulk.example\n@bad.example\n",
				"control/dnsbllist":       "-zen.spamhaus.org\n-bl.spamcop.net\n+list.dnswl.org\n",
				"control/concurrencysmtp": "200\n",
				"control/maxbadrcpt":      "3\n",
				"control/srsdomain":       "srs.provider.example\n",
				"control/vpopmail":        "/home/vpopmail\n",
				"alias/.qmail-team":       "&alice\n&bob\n./team/Maildir/\n",
			},
		},
		{
			system: "postfix", asked: 50,
			lost: []string{
				"smtpd_helo_required = yes", "good.example OK", "smtpd_recipient_restrictions: check_policy_service", "header_checks",
				"[10.2.0.9]:2525 none", "disable_dns_lookups", "no_such_parameter", "submission inet smtpd -o content_filter", "/^dept-", "alias+extension",
			},
			files: map[string]string{
				"control/me":                            "mx1.site.example\n",
				"control/defaulthost":                   "site.example\n",
				"control/locals":                        "mx1.site.example\nlocalhost.site.example\nlocalhost\n",
				"control/smtproutes":                    "slow.example:10.2.0.9:2525\n.slow.example:10.2.0.10\n",
				"control/tcp.smtp":                      "198.51.100.7:deny\n203.0.113.0/24:deny\n127.0.0.0/8:allow,RELAYCLIENT=\"\"\n::1:allow,RELAYCLIENT=\"\"\n10.2.0.0/16:allow,RELAYCLIENT=\"\"\n10.2.9.0/24:allow\n192.0.2.7:allow,DNSBLSKIP=\"\",CHECKRDNS=\"0\",GREYLIST=\"0\",SPFBEHAVIOR=\"1\"\n:allow\n",
				"control/databytes":                     "30000000\n",
				"control/queuelifetime":                 "259200\n",
				"control/milters":                       "inet:127.0.0.1:11332 accept\n",
				"control/smtplisten":                    ":25\n:587 submission\n",
				"control/tlspolicy":                     ":may\nbank.example:encrypt\nsecure.example:verify .secure.example\n",
				"control/remoteauth":                    "10.2.0.9:2525|user|s3cret-word\n",
				"control/badmailfrom":                   "@bad.example\nspammer@bulk.example\n",
				"control/break":                         "+\n",
				"alias/.qmail-virt:example-info":        "&alice@site.example\n&bob@site.example\n",
				"alias/.qmail-other:example-boss":       "&bob@site.example\n",
				"alias/.qmail-gone:example-default":     "|/var/qmail/bin/bouncesaying 'That domain is gone.'\n",
				"users/virtual/box.example/.qmail-box1": "/var/vmail/box.example/box1/\n&alice@site.example\n",
			},
		},
		{
			system: "sendmail", asked: 35,
			lost: []string{"genericstable", "greetpause:10.3 0", "tls_srv:bank.example", "alias+extension"},
			files: map[string]string{
				"control/me":                    "mail.old.example\n",
				"control/databytes":             "15000000\n",
				"control/smtproutes":            "slow.example:10.3.0.9\n.slow.example:10.3.0.10\n:relay.isp.example\n",
				"control/tcp.smtp":              "10.3.:allow,RELAYCLIENT=\"\"\n127.0.0.1:allow,RELAYCLIENT=\"\"\n10.3.1.:allow,RELAYCLIENT=\"\"\n198.51.100.7:deny\n127.0.0.0/8:allow,RELAYCLIENT=\"\"\n::1:allow,RELAYCLIENT=\"\"\n:allow\n",
				"control/badmailfrom":           "@bad.example\nspammer@bulk.example\n",
				"control/badmailto":             "spammer@bulk.example\nnomore@old.example\n",
				"control/remoteauth":            "relay.isp.example|me|s3cret-word\n",
				"control/milters":               "unix:/run/clamav/milter.sock\n",
				"control/smtplisten":            ":25\n:587 submission\n",
				"alias/.qmail-virt:example-old": "|/var/qmail/bin/bouncesaying 'That one is gone'\n",
			},
		},
	} {
		t.Run(c.system, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.system)
			dir := s.path("new")
			code, out, complaint := s.run(c.system, "--to", dir, "--json")
			if code != exitDifferent || complaint != "" {
				t.Fatalf("exit code %d, %s", code, complaint)
			}
			if strings.Contains(out, "s3cret") {
				t.Errorf("a password is in the report:\n%s", out)
			}
			checkLost(t, out, c.lost)
			for name, want := range c.files {
				if got := s.read(dir, name); got != want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
			code, out, complaint = s.run(c.system, "--compare", dir, "--json")
			var last struct{ Asked, Different int }
			if err := json.Unmarshal([]byte(lastLine(out)), &last); err != nil || last.Different != 0 || last.Asked < c.asked || code != exitOK || complaint != "" {
				t.Errorf("exit code %d, %v, %s\n%s", code, err, complaint, out)
			}
		})
	}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

// checkLost compares what has no equivalent.
func checkLost(t *testing.T, out string, want []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(out) {
		var r migrate.Remark
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Kind == migrate.Lost {
			got = append(got, r.What)
			if r.Where.File == "" || r.Text == "" {
				t.Errorf("without a place or a suggestion: %s", line)
			}
		}
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("without an equivalent: %q\nwant %q", got, want)
	}
	if problems := lastLine(out); !strings.Contains(problems, `"problems":null`) {
		t.Errorf("what was written is wrong: %s", problems)
	}
}

// TestCompareSees: what was changed since, or was never written, is a difference.
func TestCompareSees(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, system, file, text, address, want string
	}{
		{"a file is gone", "postfix", "alias/.qmail-virt:example-info", "", "info@virt.example", "here: refused"},
		{"a forward is another", "postfix", "alias/.qmail-virt:example-info", "&carol@site.example\n", "info@virt.example", "here: user carol in /home/carol"},
		{"a domain is not taken", "qmail", "control/rcpthosts", "provider.example\n", "joe@box.example", "(not taken from strangers)"},
		{"a route is gone", "sendmail", "control/smtproutes", ":elsewhere.example\n", "somebody@slow.example", "here: remote somebody@slow.example by way of elsewhere.example"},
		{"an address of a log", "postfix", "", "", "dept-sales@virt.example", "Postfix: remote sales@elsewhere.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.system)
			dir := s.path("new")
			if code, _, complaint := s.run(c.system, "--to", dir); code != exitDifferent {
				t.Fatal(code, complaint)
			}
			if c.file != "" {
				if err := os.Remove(filepath.Join(dir, c.file)); err != nil {
					t.Fatal(err)
				}
			}
			if c.text != "" {
				if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			list := s.path("list")
			s.write("list", "# seen\n"+c.address+"\n", 0o644, "")
			code, out, complaint := s.run(c.system, "--compare", dir, "--addresses", list)
			_, about, found := strings.Cut(out, "\n"+c.address+"\n")
			if strings.HasPrefix(out, c.address+"\n") {
				_, about, found = strings.Cut(out, "\n")
			}
			lines := strings.SplitN(about, "\n", 3)
			if code != exitDifferent || !found || !strings.Contains(strings.Join(lines[:min(2, len(lines))], "\n"), c.want) {
				t.Errorf("exit code %d, %s\n%s", code, complaint, out)
			}
		})
	}
}

// TestArguments: what cannot be done is said, with the exit code that says whose
// fault it is.
func TestArguments(t *testing.T) {
	t.Parallel()
	s := newSite(t, "qmail")
	s.write("full/x", "x", 0o644, "")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitMisused, "name one system"},
		{[]string{"qmail"}, exitMisused, "one of --to and --compare"},
		{[]string{"qmail", "--to", "a", "--compare", "b"}, exitMisused, "one of --to and --compare"},
		{[]string{"qmail", "--to", "a", "--addresses", "b"}, exitMisused, "goes with --compare"},
		{[]string{"exim", "--to", s.path("a")}, exitMisused, "no system that is known"},
		{[]string{"qmail", "--nonsense"}, exitMisused, "nonsense"},
		{[]string{"qmail", "--to", s.path("full")}, exitMisused, "new or an empty directory"},
		{[]string{"qmail", "--to", "/var/qmail/new"}, exitMisused, "outside of the home directory"},
		{[]string{"qmail", "--to", s.path("no/such")}, exitTemporary, "no such file"},
		{[]string{"postfix", "--to", s.path("a")}, exitTemporary, "main.cf"},
		{[]string{"qmail", "--compare", s.path("nothing")}, exitTemporary, "no such file"},
		{[]string{"--help"}, exitOK, ""},
	} {
		code, _, complaint := s.run(c.args...)
		if code != c.code || !strings.Contains(complaint, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d, %q", c.args, code, complaint, c.code, c.want)
		}
	}
}

// TestLinksStayInTheRoot: a copy of another machine does not lead to this one.
func TestLinksStayInTheRoot(t *testing.T) {
	t.Parallel()
	s := newSite(t, "postfix")
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("hidden@virt.example alice\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc/postfix/virtual", "etc/aliases"} {
		if err := os.Remove(s.path(name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, s.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, _ := s.run("postfix", "--to", s.path("new"))
	if code != exitDifferent || strings.Contains(out, "hidden") || !strings.Contains(out, "no such file") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(s.path("new/alias/.qmail-virt:example-hidden")); err == nil {
		t.Error("an address of this machine is carried over")
	}
}
