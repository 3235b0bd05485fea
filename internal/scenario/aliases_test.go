package scenario

import (
	"strings"
	"testing"

	"postrider/internal/testhost"
)

const aliasTable = `# for the tests
Team: alice, bob@mx1.example,
  carol
alice: alice, "|cat > /var/qmail/alias/piped; echo $SENDER $RECIPIENT $USER $(id -un) > /var/qmail/alias/variables"
list: :include:/etc/mail/members
owner-list: \alice
toremote: far@else.example
nowhere: /dev/null
loop: loop2
loop2: loop
box: /var/qmail/alias/box
wrong: |
missing: :include:/etc/mail/none
`

// Aliases come before users, at RCPT and at the delivery, and programs and files
// are those of the user alias.
func TestAliases(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob", "carol")
	h.Control("aliases", "/etc/aliases")
	h.Must("mkdir", "-p", "/etc/mail")
	h.WriteFile("/etc/aliases", aliasTable, 0o644)
	h.WriteFile("/etc/mail/members", "bob\n# nobody else\ncarol, bob@mx1.example\n", 0o644)
	h.StartSuite()
	c := session(t, h)
	for address, code := range map[string]int{
		"TEAM@mx1.example": 250, "list@mx1.example": 250, "nowhere@mx1.example": 250, "other@mx1.example": 550, "bob@mx1.example": 250,
		`"\\alice"@mx1.example`: 550, `"\\nobody"@mx1.example`: 550, "team-x@mx1.example": 550,
	} {
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("%s: %d, want %d", address, got, code)
		}
	}
	send := func(to, subject string) {
		sendmail(h, "root", []string{"-f", "s@else.example", to}, letter(to, subject))
		waitEmpty(t, h)
	}
	subjects := func(user string) string {
		var all []string
		for _, m := range h.Maildir(user).Messages() {
			all = append(all, m.Header("Subject")+" "+m.Header("Return-Path"))
		}
		return strings.Join(all, ", ")
	}
	send("team", "one")
	for _, user := range []string{"alice", "bob", "carol"} {
		if got := subjects(user); got != "one <s@else.example>" {
			t.Errorf("%s: %s\n%s", user, got, h.Log().Timed(0))
		}
	}
	if got := h.ReadFile("/var/qmail/alias/variables"); got != "s@else.example team@mx1.example alias alias\n" {
		t.Errorf("variables: %q", got)
	}
	if got := h.ReadFile("/var/qmail/alias/piped"); !strings.HasPrefix(got, "From s@else.example ") || !strings.Contains(got, "\nSubject: one\n") {
		t.Errorf("piped: %s", got)
	}
	send("list", "two")
	if got := subjects("bob"); !strings.Contains(got, "two <owner-list@mx1.example>") || strings.Count(got, "two") != 1 {
		t.Errorf("list: %s", got)
	}
	send("owner-list", "three")
	if got := subjects("alice"); !strings.Contains(got, "three") {
		t.Errorf("owner: %s", got)
	}
	send("nowhere", "four")
	send("box", "five")
	if got := strings.TrimSpace(h.Must("stat", "-c", "%U", "/var/qmail/alias/box")); got != "alias" {
		t.Errorf("box belongs to %s", got)
	}
	for _, name := range []string{"loop", "wrong", "missing"} {
		first := h.Log().Len()
		sendmail(h, "root", []string{name}, letter(name, name))
		h.WaitForLog(first, `^delivery \d+: deferral: Trouble_with_the_tables_of_aliases`)
	}
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/newaliases"}})
	if err != nil || result.Code != 111 || !strings.Contains(result.Stderr, "/etc/aliases: line 12: wrong: ") || !strings.Contains(result.Stdout, "/etc/aliases: 11 aliases") {
		t.Errorf("newaliases: %v %v", result, err)
	}
	h.WriteFile("/etc/aliases", "half", 0o644)
	if got := rcptCode(t, c, "carol@mx1.example"); got != 451 {
		t.Errorf("a table that is being written: %d", got)
	}
	h.StopSuite()
}

// A .forward file counts where there is no .qmail, and where that is wanted.
func TestDotForward(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob", "carol", "dave", "eve")
	h.Control("dotforward", "1")
	h.WriteFile("/home/bob/.forward", "", 0o644)
	own(h, "carol", ".forward", "# here and there\ncarol\n\"|cat > piped; id -un > name\"\n/home/carol/box\nbob@mx1.example\n")
	own(h, "dave", ".forward", "carol\n")
	own(h, "dave", ".qmail", "./Maildir/\n")
	own(h, "eve", ".forward", "bob\n")
	h.Must("chmod", "666", "/home/eve/.forward")
	h.StartSuite()
	own(h, "alice", ".forward", "\\alice, bob\n")
	sendmail(h, "root", []string{"-f", "s@else.example", "alice", "carol", "dave"}, letter("all", "m"))
	waitEmpty(t, h)
	for user, n := range map[string]int{"alice": 1, "bob": 2, "carol": 1, "dave": 1} {
		if got := h.Maildir(user).Count(); got != n {
			t.Errorf("%s has %d messages, want %d\n%s", user, got, n, h.Log().Timed(0))
		}
	}
	if got := h.ReadFile("/home/carol/name") + h.ReadFile("/home/carol/piped") + h.ReadFile("/home/carol/box"); !strings.HasPrefix(got, "carol\nFrom s@else.example ") || strings.Count(got, "Subject: m\n") != 2 {
		t.Errorf("carol: %s", got)
	}
	first := h.Log().Len()
	sendmail(h, "root", []string{"eve"}, letter("eve", "waits"))
	h.WaitForLog(first, `^delivery \d+: deferral: Uh-oh:_.forward_is_writable`)
	h.StopSuite()
}
