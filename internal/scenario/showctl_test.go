package scenario

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// shown runs qmail-showctl as a user and returns what it says.
func shown(t *testing.T, h *testhost.Host, user string, args ...string) testhost.Result {
	t.Helper()
	r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: append([]string{home + "/bin/qmail-showctl"}, args...), User: user})
	if err != nil {
		t.Fatal(err)
	}
	if r.Stderr != "" {
		t.Errorf("qmail-showctl %q says %s", args, r.Stderr)
	}
	return r
}

// TestShowctlAsksNameServers: names of hosts are compared with the DNS, within a
// time, and by a process that is not root.
func TestShowctlAsksNameServers(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx.example", "joe")
	zone := net.Zone()
	zone.MX("ours.example", 10, "mx.example")
	zone.MX("theirs.example", 10, "mx.other.example")
	zone.MX("backup.example", 10, "mx.example")
	zone.MX("mx.example", 10, "mx.example")
	zone.Silence("slow.example")
	h.Control("locals", "mx.example", "ours.example", "theirs.example", "gone.example", "slow.example")
	h.Control("rcpthosts", "mx.example", "ours.example", "theirs.example", "gone.example", "slow.example", "backup.example")
	h.Control("smtproutes", "a.example:nosuch.example", "b.example:mx.example:26", "c.example:[192.0.2.1]")
	records := make(map[string]string)
	for _, selector := range []string{"rsa", "ed", "gone", "wrong"} {
		algorithm := "rsa"
		if selector == "ed" {
			algorithm = "ed25519"
		}
		said := h.Must(home+"/bin/qmail-dkimkey", "-a", algorithm, "ours.example", selector)
		records[selector] = regexp.MustCompile(`(?m)^` + selector + `\._domainkey.*$`).FindString(said)
	}
	h.Control("dkimsign", "ours.example rsa ours.example/rsa", "ours.example ed ours.example/ed", "ours.example gone ours.example/gone", "ours.example wrong ours.example/wrong")
	zone.Add(records["rsa"], records["ed"], strings.Replace(records["rsa"], "rsa._domainkey", "wrong._domainkey", 1))
	h.StartSuite()
	askedBy(t, h)
	r := shown(t, h, "", "--check")
	report := squeeze(r.Stdout)
	for _, want := range []string{
		"error: /var/qmail/control/rcpthosts, line 6: this host is the best mail exchanger of backup.example, but does not deliver its mail",
		"error: /var/qmail/control/smtproutes, line 1: nosuch.example has no address in the DNS",
		"warning: /var/qmail/control/locals, line 3: the mail exchanger of theirs.example in the DNS is mx.other.example, and not this host",
		"warning: /var/qmail/control/locals, line 4: gone.example has no mail exchanger in the DNS",
		"error: /var/qmail/control/dkimsign, line 3: the DNS has no gone._domainkey.ours.example",
		"error: /var/qmail/control/dkimsign, line 4: the key in the DNS at wrong._domainkey.ours.example is another one",
		"unread: name servers do not say all:",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("%q is missing in\n%s", want, r.Stdout)
		}
	}
	for _, never := range []string{"exchanger of ours.example", "dkimsign, line 1", "dkimsign, line 2", "b.example", "line 3: 192", "me, line 1"} {
		if strings.Contains(report, never) {
			t.Errorf("%q is in\n%s", never, r.Stdout)
		}
	}
	if r.Code != 1 {
		t.Errorf("exit code %d", r.Code)
	}
	if r := shown(t, h, "", "--check", "--no-dns"); strings.Contains(r.Stdout, "exchanger of") || r.Code != 0 {
		t.Errorf("without name servers: %s", r)
	}
}

// hasFiles reports whether a process has a file open; the runtime looks at its
// control group.
func hasFiles(p *testhost.ProcessInfo) bool {
	return slices.ContainsFunc(p.Files, func(f testhost.OpenFile) bool {
		return strings.HasPrefix(f.Target, "/") && f.Target != os.DevNull && !strings.HasPrefix(f.Target, "/sys/fs/cgroup/")
	})
}

// askedBy checks who asks while root's qmail-showctl waits for an answer.
func askedBy(t *testing.T, h *testhost.Host) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := h.Start(testhost.Command{Argv: []string{home + "/bin/qmail-showctl", "--check"}, Files: []*os.File{null, null, null}})
	if err != nil {
		t.Fatal(err)
	}
	asker := func() *testhost.ProcessInfo {
		for _, each := range h.Find("qmail-showctl") {
			begins := slices.ContainsFunc(each.Files, func(f testhost.OpenFile) bool { // Go's runtime
				return strings.HasPrefix(f.Target, "/proc/")
			})
			if slices.Contains(each.Argv, "--ask-name-servers") && each.UID[1] != 0 && !begins {
				return &each
			}
		}
		return nil
	}
	var found *testhost.ProcessInfo
	for found == nil {
		select {
		case <-p.Ended():
			t.Fatal("nobody was seen who asks")
		default:
			found = asker()
		}
	}
	if qmailn := h.UserID("qmailn"); found.UID != [4]int{qmailn, qmailn, qmailn, qmailn} || len(found.Groups) > 0 || hasFiles(found) {
		t.Errorf("name servers are asked by %+v", found)
	}
	if _, err := p.Wait(testhost.Within(t, soon)); err != nil {
		t.Error(err)
	}
}

// secrets are in files that qmail-showctl reads, and in nothing that it prints.
const secretWord = "hidden-from-all"

// TestShowctlKeepsSecrets, and tells users what they may not read.
func TestShowctlKeepsSecrets(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx.example", "joe")
	key := serverKey(t, "mx.example", 300)
	h.WriteFile(home+"/control/servercert.pem", key, 0o600)
	h.Control("smtproutes", "a.example:relay.example|joe|"+secretWord, "b.example:relay.example joe "+secretWord, "c.example|"+secretWord, "relay.example|joe:"+secretWord, "relay|joe|"+secretWord+":x")
	h.Control("authsenders", "@d.example:relay.example:587|joe|"+secretWord, secretWord)
	h.Control("remoteauth", "relay.example|joe|"+secretWord, "wrong "+secretWord)
	h.Control("outgoingsocks", "192.0.2.1:1080|joe|"+secretWord, secretWord)
	h.Control("srssecret", secretWord+"-0123456789")
	h.Must("sh", "-c", "cd /var/qmail/control && chown qmailr remoteauth outgoingsocks && chmod 600 remoteauth outgoingsocks srssecret")
	h.StartSuite()
	for _, user := range []string{"", "joe"} {
		for _, args := range [][]string{
			{"--no-dns"}, {"--no-dns", "--json"}, {"--no-dns", "--check"}, {"smtproutes", "authsenders", "remoteauth", "outgoingsocks", "srssecret"}, {"--json", "smtproutes", "srssecret"},
		} {
			r := shown(t, h, user, args...)
			if strings.Contains(r.Stdout, secretWord) || strings.Contains(r.Stdout, "PRIVATE") || strings.Contains(r.Stdout, strings.Split(key, "\n")[1]) {
				t.Errorf("%s %q tells a secret:\n%s", user, args, r.Stdout)
			}
		}
	}
	report := squeeze(shown(t, h, "joe", "--no-dns", "--check").Stdout)
	for _, want := range []string{"unread: /var/qmail/control/remoteauth: you may not read it", "unread: /var/qmail/control/servercert.pem: you may not read it", "could not be looked at: ask as root."} {
		if !strings.Contains(report, want) {
			t.Errorf("a user is not told %q:\n%s", want, report)
		}
	}
	r := shown(t, h, "", "--no-dns", "--json")
	var d struct {
		Settings []struct {
			Name, Origin string
			Values       []string
		}
		Findings []struct {
			Level, File, What, Mend string
			Line                    int
		}
		Errors int
	}
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil || len(d.Settings) < 100 || d.Errors == 0 || r.Code != 1 {
		t.Errorf("%v: %d settings, %d errors, exit code %d", err, len(d.Settings), d.Errors, r.Code)
	}
	for _, s := range d.Settings {
		if s.Name == "helohost" && (s.Origin != "me" || len(s.Values) != 1 || s.Values[0] != "mx.example") {
			t.Errorf("helohost is %+v", s)
		}
	}
}

// TestShowctlChangesNothing: all files below Q are what they were.
func TestShowctlChangesNothing(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx.example", "joe")
	h.StartSuite()
	const state = `cd /var/qmail && find . -printf '%p %i %m %u %g %s %T@ %C@\n' | sort`
	before := h.Must("sh", "-c", state)
	for _, user := range []string{"", "joe"} {
		if r := shown(t, h, user, "--no-dns"); r.Code != 0 {
			t.Errorf("%s: %v", user, r)
		}
		shown(t, h, user, "--no-dns", "--json")
	}
	if after := h.Must("sh", "-c", state); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{home + "/bin/qmail-showctl", "rcpthost"}})
	if err != nil || r.Code != 100 || !strings.Contains(r.Stderr, `there is no setting "rcpthost"; is it rcpthosts?`) {
		t.Errorf("%v, %v", r, err)
	}
}
