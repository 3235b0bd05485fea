package scenario

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// extraUser gives the host an account that is in no file which the suite reads.
func extraUser(h *testhost.Host, name string, id int) {
	h.Must("mkdir", "-p", "/var/lib/extrausers", "/home/"+name)
	h.WriteFile("/var/lib/extrausers/passwd", fmt.Sprintf("%s:x:%d:%d::/home/%s:/bin/sh\n", name, id, id, name), 0o644)
	h.WriteFile("/etc/nsswitch.conf", "passwd: files [NOTFOUND=continue] extrausers # and no others\ngroup: files\n", 0o644)
	h.Must("sh", "-ec", fmt.Sprintf("mkdir -p /home/%[1]s/Maildir/tmp /home/%[1]s/Maildir/new /home/%[1]s/Maildir/cur; chown -R %[2]d:%[2]d /home/%[1]s", name, id))
}

// An account of the name services gets mail, is known at RCPT, and has extensions;
// names that they do not have are nobody's.
func TestAccountsOfNameServices(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	extraUser(h, "extra", 20001)
	h.WriteFile("/home/extra/.qmail-list", "./Maildir/\n", 0o644)
	h.Control("break", "-+")
	h.StartSuite()
	c := session(t, h)
	for address, code := range map[string]int{
		"extra@mx1.example": 250, "EXTRA@mx1.example": 250, "extra-list@mx1.example": 250, "extra+list@mx1.example": 250,
		"extra-other@mx1.example": 550, "nobody.there@mx1.example": 550, "20001@mx1.example": 550, "--help@mx1.example": 550, "alice@mx1.example": 250,
	} {
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("%s: %d, want %d", address, got, code)
		}
	}
	sendmail(h, "root", []string{"-f", "x@else.example", "extra", "extra+list", "alice"}, letter("extra", "found"))
	waitEmpty(t, h)
	if got := h.MaildirAt("/home/extra/Maildir").Messages(); len(got) != 2 {
		t.Errorf("got %v\n%s", got, h.Log().Timed(0))
	}
	if got := strings.TrimSpace(h.Must("sh", "-c", "stat -c %u /home/extra/Maildir/new/* | sort -u")); got != "20001" {
		t.Errorf("messages belong to %s", got)
	}
	if got := h.Must("/var/qmail/bin/qmail-getpw", "extra+List"); got != "extra\x0020001\x0020001\x00/home/extra\x00-\x00List\x00" {
		t.Errorf("qmail-getpw: %q", got)
	}
	h.StopSuite()
}

// A server that is away makes nobody unknown, and mail waits for it.
func TestNameServiceIsAway(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Must("sh", "-ec", "mkdir -p /home/extra; chown 20001:20001 /home/extra")
	h.WriteFile("/etc/nsswitch.conf", "passwd: files ldap\n", 0o644)
	h.Control("nssprobe", "canary")
	// The server is the file answers; without it, it is away.
	h.WriteFile("/tmp/getent", "#!/bin/sh\ntest \"$1\" = passwd || exit 1\nshift\ncode=0\n"+
		"for n; do grep \"^$n:\" /tmp/answers 2>/dev/null || code=2; done\nexit $code\n", 0o755)
	h.Must("mount", "--bind", "/tmp/getent", "/usr/bin/getent")
	h.StartSuite()
	c := session(t, h)
	for address, code := range map[string]int{"extra@mx1.example": 451, "noone@mx1.example": 451, "alice@mx1.example": 250} {
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("away: %s: %d, want %d", address, got, code)
		}
	}
	h.WaitForLog(0, `^qmail-nss: warning: the account in control/nssprobe is not found`)
	sendmail(h, "alice", []string{"extra"}, letter("extra", "waits"))
	h.WaitForLog(0, `^delivery \d+: deferral: `)
	h.WriteFile("/tmp/answers", "canary:x:20002:20002::/:/\nextra:x:20001:20001::/home/extra:/\n", 0o644)
	h.WriteFile("/home/extra/.qmail", "./box\n", 0o644)
	for address, code := range map[string]int{"extra@mx1.example": 250, "noone@mx1.example": 550} {
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("back: %s: %d, want %d", address, got, code)
		}
	}
	h.Must("sh", "-c", "kill -ALRM $(pgrep -x qmail-send)")
	waitEmpty(t, h)
	if got := h.ReadFile("/home/extra/box"); !strings.Contains(got, "Subject: waits\n") {
		t.Errorf("got %s", got)
	}
	h.StopSuite()
}
