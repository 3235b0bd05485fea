package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

const explainProgram = "/var/qmail/bin/qmail-explain"

// explainedHost has something of everything that decides where mail goes: users,
// extensions, aliases, virtual domains, a domain of vpopmail, clients that may and
// may not, routes, and other hosts of every kind.
func explainedHost(t *testing.T, net *testhost.Network) *testhost.Host {
	t.Helper()
	h := vpopmailHostOn(t, net, "vera", "full")
	h.AddUsers("bob", "closed", "carol")
	control := map[string][]string{
		"vpopmail": {vpopmailDir}, "vpopmailuser": {"vpopmail"},
		"locals":         {"mx1.example", "local.example"},
		"rcpthosts":      {"# ours", "mx1.example", "local.example", ".sub.example", vdomain, "virtual.example", "hack.example", "relay.example", "away.example"},
		"virtualdomains": {vdomain + ":" + vdomain, "virtual.example:bob-v", "one@else.example:bob-one", ".sub.example:nobodyatall", "off.sub.example:"},
		"percenthack":    {"hack.example"},
		"badmailfrom":    {"@bad.example", "evil@else.example"},
		"badrcptto":      {"bob-secret@mx1.example"},
		"tcp.smtp":       {"# ours", `10.1.:allow,RELAYCLIENT=""`, "10.2.:deny", `10.3.3.3:allow,RELAYCLIENT="@relay.example"`, `10.4.0.0/16:allow,RBLSMTPD="no mail from there"`},
		"smtproutes":     {"relay.example:relay.else.example:2525|joe|verysecretword", "odd.example:a b|joe|hiddenword", "direct.example:"},
		"tlspolicy":      {"verify.example:verify", "never.example:none", "dane.example:dane", "daneonly.example:dane-only"},
		"mtasts":         {"1"},
		"aliases":        {"/etc/aliases"},
		"dotforward":     {"1"},
	}
	for name, lines := range control {
		h.Control(name, lines...)
	}
	h.WriteFile("/etc/aliases", "# two\nteam: alice, bob, far@away.example\nself: self\npiped: |/bin/true\n", 0o644)
	own := func(user, name, text string) {
		h.WriteFile("/home/"+user+"/"+name, text, 0o600)
		h.Chown("/home/"+user+"/"+name, user)
	}
	own("alice", ".qmail", "# mine\n./Maildir/\n\n&bob@mx1.example\n|/bin/true\n")
	own("alice", ".qmail-loop", "alice-loop2@mx1.example\n")
	own("alice", ".qmail-loop2", "&alice-loop@mx1.example\n")
	own("alice", ".qmail-self", "alice-self@mx1.example\n")
	own("alice", ".qmail-far", "far@away.example\n")
	own("alice", ".qmail-empty", "")
	own("alice", ".qmail-bad", "\n./Maildir/\n")
	own("bob", ".qmail-v-default", "./Maildir/\n")
	own("bob", ".qmail-list", "alice@mx1.example\n")
	own("bob", ".qmail-list-owner", "./Maildir/\n")
	own("bob", ".qmail-one-default", "./Maildir/\n")
	own("carol", ".forward", "far@away.example\n")
	h.Must("chmod", "700", "/home/closed")
	h.WriteFile("/var/qmail/alias/.qmail-postmaster", "&alice\n", 0o644)
	h.WriteFile(vdomainDir+"/full/Maildir/maildirsize", "1000S,1C\n10 1\n", 0o600)
	h.WriteFile("/var/qmail/users/assign", strings.TrimSuffix(h.ReadFile("/var/qmail/users/assign"), ".\n")+"=rootly:root:0:0:/root:::\n.\n", 0o644)
	h.Must("/var/qmail/bin/qmail-newu")
	lines := []string{vpasswdLine("vera"), strings.Replace(vpasswdLine("full"), "NOQUOTA", "1000S,1C", 1)}
	writeVpasswd(h, lines)
	closeTree(h)
	return h
}

// others are the domains of other hosts: a signed zone, and policies of MTA-STS.
func others(t *testing.T, net *testhost.Network, h *testhost.Host) {
	t.Helper()
	zone := net.Zone()
	zone.Sign()
	far := net.Host("mail.away.example")
	far.Sink(":25", nil)
	far.Sink(":2525", nil)
	for _, name := range []string{"mail.away.example", "relay.else.example", "mx.dane.example"} {
		zone.Address(name, far.IP)
	}
	for _, domain := range []string{"away", "verify", "never", "daneonly", "sts", "badsts", "newsts", "direct"} {
		zone.MX(domain+".example", 10, "mail.away.example")
	}
	zone.MX("dane.example", 10, "mx.dane.example")
	zone.Add("null.example. MX 0 .", "_25._tcp.mx.dane.example. TLSA 3 1 1 "+strings.Repeat("ab", 32))
	zone.Fail("lame.example")
	h.StartResolver()
	web := newPolicyServer(t, net, "sts.example", "badsts.example")
	h.WriteFile(trustedFile, web.cert, 0o644)
	web.publish("sts.example", "1", "enforce", "mail.away.example", "604800")
	web.publish("badsts.example", "1", "enforce", "mx.badsts.example", "604800")
	web.publish("newsts.example", "1", "", "", "")
}

// fetchPolicies has qmail-mtasts keep the policies.
func fetchPolicies(h *testhost.Host) {
	for _, domain := range []string{"sts.example", "badsts.example"} {
		first := h.Log().Len()
		sendmail(h, "root", []string{"x@" + domain}, letter("x", "x"))
		for strings.HasPrefix(h.WaitForLog(first, `^qmail-mtasts: policy domain=`+domain+` |^delivery \d+: deferral: Sorry,_I_couldn't_find_any_host`)[0], "delivery") {
			// On a busy machine the name servers may not have answered in time.
			first = h.Log().Len()
			h.Must("/var/qmail/bin/qmail-queuectl", "retry", "--to", "x@"+domain)
		}
	}
}

// TestExplain runs the cases of testdata/explanations: what is decided, by which
// file and which line, and what is not shown.
func TestExplain(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := explainedHost(t, net)
	others(t, net, h)
	h.StartSuiteWith("./Maildir/")
	fetchPolicies(h)
	files, err := filepath.Glob("testdata/explanations/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for c := range strings.SplitSeq(string(text), "\n\n") {
			runExplanation(t, h, file, c)
		}
	}
	h.StopSuite()
}

// runExplanation runs a case: comments, a command line behind "$ " ("USER$ " as a
// user), "exit N", lines behind "> " that the output contains in that order, and
// lines behind "< " that it does not.
func runExplanation(t *testing.T, h *testhost.Host, file, text string) {
	t.Helper()
	var r testhost.Result
	left, ran := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		user, command, isCommand := strings.Cut(line, "$ ")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "exit "):
			if fmt.Sprint("exit ", r.Code) != line {
				t.Errorf("%s: %s: exit code %d\n%s", file, line, r.Code, r)
			}
		case strings.HasPrefix(line, "> "):
			_, rest, found := strings.Cut(left, line[2:])
			if !found {
				t.Errorf("%s: %q is missing in\n%s", file, line[2:], r)
				return
			}
			left = rest
		case strings.HasPrefix(line, "< "):
			if strings.Contains(r.Stdout+r.Stderr, line[2:]) {
				t.Errorf("%s: %q is in\n%s", file, line[2:], r)
			}
		case isCommand:
			var err error
			r, err = h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/bin/sh", "-c", "PATH=/var/qmail/bin:$PATH; " + command}, User: user})
			if err != nil {
				t.Fatal(err)
			}
			left, ran = r.Stdout+r.Stderr, true
			if os.Getenv("SHOW") != "" {
				t.Logf("%s\n%s", command, r)
			}
		default:
			t.Errorf("%s: %q means nothing", file, line)
		}
	}
	if !ran && strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "#") {
		t.Errorf("%s: no command in %q", file, text)
	}
}
