package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// rcptCode returns the code that RCPT for an address gets.
func rcptCode(t *testing.T, c *testhost.Client, address string) int {
	t.Helper()
	err := c.Command("RCPT TO:<"+address+">", 2)
	if reply := (*testhost.Reply)(nil); errors.As(err, &reply) {
		return reply.Code
	}
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return 250
}

// session begins a transaction at port 25 of a host.
func session(t *testing.T, h *testhost.Host) *testhost.Client {
	t.Helper()
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Command("MAIL FROM:<x@else.example>", 2); err != nil {
		t.Fatal(err)
	}
	return c
}

// verified is an address, the reply to its RCPT, and what becomes of mail for
// it that comes in another way.
type verified struct {
	address   string
	code      int
	delivered string // the address in the log, if it is another one
	outcome   string
}

// recipientHost has users, aliases, virtual domains, and homes that qmail-lookup
// cannot look into.
func recipientHost(t *testing.T) *testhost.Host {
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob", "carol", "dave", "eve", "a-b", "fay")
	h.Control("locals", "mx1.example", "two.example")
	h.Control("rcpthosts", "mx1.example", "two.example", "virt.example", ".sub.example", "hack.example", "cat.example", "backup.example")
	h.Control("virtualdomains", "virt.example:carol-virt", ".sub.example:carol-sub", "cat.example:alias-cat", "who@backup.example:bob-backup")
	h.Control("percenthack", "hack.example")
	h.Control("maxbadrcpt", "0")
	for _, user := range []string{"alice", "carol"} {
		h.Must("chmod", "755", "/home/"+user)
		own(h, user, ".qmail-list", "./Maildir/\n")
		own(h, user, ".qmail-list-default", "./Maildir/\n")
		own(h, user, ".qmail-v1:2", "./Maildir/\n")
	}
	own(h, "carol", ".qmail-virt-info", "./Maildir/\n")
	own(h, "carol", ".qmail-sub-default", "./Maildir/\n")
	h.Must("mkdir", "/home/alice/.qmail-dir")
	h.Must("mkfifo", "/home/alice/.qmail-fifo")
	h.Must("ln", "-s", "nowhere", "/home/alice/.qmail-lost")
	h.Must("ln", "-s", ".qmail-list", "/home/alice/.qmail-link")
	own(h, "bob", ".qmail-backup-who", "./Maildir/\n")
	h.Must("chmod", "700", "/home/bob", "/home/eve")
	h.Must("chmod", "1755", "/home/dave")
	// Below a directory that only her group may enter.
	h.Must("sh", "-c", "mkdir /home/closed && mv /home/fay /home/closed/ && usermod -d /home/closed/fay fay && chgrp fay /home/closed && chmod 750 /home/closed")
	h.WriteFile("/var/qmail/alias/.qmail-sales", "&alice@mx1.example\n", 0o644)
	h.WriteFile("/var/qmail/alias/.qmail-cat-meow", "&alice@mx1.example\n", 0o644)
	h.WriteFile("/var/qmail/alias/.qmail-help-default", "&alice@mx1.example\n", 0o644)
	h.Must("rm", "/var/qmail/alias/.qmail-postmaster")
	id := func(user string) string { return fmt.Sprintf("%d:%d", h.UserID(user), h.GroupID(user)) }
	h.WriteFile("/var/qmail/users/assign", "=assigned:alice:"+id("alice")+":/home/alice:::\n"+
		"+shop-:carol:"+id("carol")+":/home/carol:-:virt-:\n"+
		"=super:root:0:0:/root:::\n=gone:alice:"+id("alice")+":/home/nowhere:::\n.\n", 0o644)
	h.Must("/var/qmail/bin/qmail-newu")
	return h
}

// TestRecipientsAreVerified compares what is said to RCPT with what deliveries
// do: who is refused would have bounced.
func TestRecipientsAreVerified(t *testing.T) {
	t.Parallel()
	h := recipientHost(t)
	h.StartSuite()
	cases := []verified{
		{"alice@mx1.example", 250, "", "success"},
		{"ALICE@MX1.example", 250, "", "success"},
		{"alice@two.example", 250, "", "success"},
		{"nobody@mx1.example", 550, "", "failure"},
		{"nobody@two.example", 550, "", "failure"},
		{"root@mx1.example", 250, "", "success"},
		{"daemon@mx1.example", 550, "", "failure"},
		{"alice-list@mx1.example", 250, "", "success"},
		{"Alice-LIST@mx1.example", 250, "", "success"},
		{"alice-list-x@mx1.example", 250, "", "success"},
		{"alice-list-x-y@mx1.example", 250, "", "success"},
		{"alice-list-" + strings.Repeat("x-", 150) + "y@mx1.example", 250, "", "success"},
		{"alice-listen@mx1.example", 550, "", "failure"},
		{"alice-@mx1.example", 550, "", "failure"},
		{"alice-v1.2@mx1.example", 250, "", "success"},
		{"alice-v1.3@mx1.example", 550, "", "failure"},
		{"alice-../bob/secret@mx1.example", 550, "", "failure"},
		{"alice-dir@mx1.example", 550, "", "failure"},
		{"alice-fifo@mx1.example", 550, "", "failure"},
		{"alice-lost@mx1.example", 550, "", "failure"},
		{"alice-link@mx1.example", 250, "", "success"},
		{"alice+x@mx1.example", 550, "", "failure"},
		{"a-b@mx1.example", 250, "", "success"},
		{"a-c@mx1.example", 550, "", "failure"},
		{"eve@mx1.example", 250, "", "success"},
		{"eve-secret@mx1.example", 250, "", "failure"}, // nobody but eve knows
		{"fay@mx1.example", 250, "", "success"},
		{"dave@mx1.example", 250, "", "deferral"},
		{"dave-x@mx1.example", 250, "", "deferral"},
		{"sales@mx1.example", 250, "", "success"},
		{"sales-x@mx1.example", 550, "", "failure"},
		{"help-me@two.example", 250, "", "success"},
		{"postmaster@mx1.example", 550, "", "failure"},
		{"assigned@mx1.example", 250, "", "success"},
		{"assigned-x@mx1.example", 550, "", "failure"},
		{"shop-info@mx1.example", 250, "", "success"},
		{"shop-none@mx1.example", 550, "", "failure"},
		{"super@mx1.example", 451, "", "deferral"},
		{"gone@mx1.example", 451, "", "deferral"},
		{"info@virt.example", 250, "carol-virt-info@virt.example", "success"},
		{"none@virt.example", 550, "carol-virt-none@virt.example", "failure"},
		{"any@a.sub.example", 250, "carol-sub-any@a.sub.example", "success"},
		{"meow@cat.example", 250, "alias-cat-meow@cat.example", "success"},
		{"bark@cat.example", 550, "alias-cat-bark@cat.example", "failure"},
		{"who@backup.example", 250, "bob-backup-who@backup.example", "success"},
		{"alice%mx1.example@hack.example", 250, "alice@mx1.example", "success"},
		{"nobody%two.example@hack.example", 550, "nobody@two.example", "failure"},
		{"x@backup.example", 250, "", ""},
		{"x@else.example", 553, "", ""},
	}
	c := session(t, h)
	var args []string
	for _, want := range cases {
		if got := rcptCode(t, c, want.address); got != want.code {
			t.Errorf("RCPT TO:<%.60s>: %d, want %d", want.address, got, want.code)
		}
		if want.outcome != "" {
			args = append(args, want.address)
		}
	}
	first := h.Log().Len()
	sendmail(h, "root", append([]string{"-f", "", "--"}, args...), letter("all", "to see what becomes of it"))
	for _, want := range cases {
		if want.outcome == "" {
			continue
		}
		to := want.delivered
		if to == "" {
			to = want.address
		}
		number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to local `+regexp.QuoteMeta(to)+`$`)[1]
		if got := h.WaitForLog(first, `^delivery `+number+`: (\w+): `)[1]; got != want.outcome {
			t.Errorf("%.60s: the delivery is a %s, want %s", want.address, got, want.outcome)
		}
		if want.code == 550 && want.outcome != "failure" {
			t.Errorf("%s is refused and would not bounce", want.address)
		}
	}
	if count(h, 0, "qmail-lookup: warning: postmaster has no mailbox") == 0 {
		t.Error("nobody is told that postmaster has no mailbox")
	}
	h.CrashSuite()
}

// A qmail-lookup that does not answer, or is not there, lets nobody in, and
// keeps nobody out for good.
func TestNobodyIsTakenWithoutLookup(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.StartSuite()
	c := session(t, h)
	if code := rcptCode(t, c, "alice@mx1.example"); code != 250 {
		t.Errorf("alice: %d", code)
	}
	stop(t, h, "qmail-lookup")
	if code := rcptCode(t, c, "bob@mx1.example"); code != 451 {
		t.Errorf("bob while qmail-lookup is stopped: %d", code)
	}
	first := h.Log().Len()
	h.Kill("qmail-lookup", syscall.SIGKILL)
	h.WaitForLog(first, `^qmail-start: qmail-lookup started`)
	for begun := time.Now(); ; {
		code := rcptCode(t, c, "bob@mx1.example")
		if code == 250 {
			break
		}
		if code != 451 || time.Since(begun) > soon {
			t.Fatalf("bob after qmail-lookup has died: %d", code)
		}
	}
	if code := rcptCode(t, c, "nobody@mx1.example"); code != 550 {
		t.Errorf("nobody in the end: %d", code)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	h.StopSuite()
}

// stop stops a program, and returns when none of its threads runs any more.
func stop(t *testing.T, h *testhost.Host, program string) {
	t.Helper()
	h.Kill(program, syscall.SIGSTOP)
	for _, p := range h.Find(program) {
		for _, thread := range p.Threads {
			stat := fmt.Sprintf("/proc/%d/task/%d/stat", p.PID, thread.TID)
			for begun := time.Now(); !strings.Contains(h.ReadFile(stat), ") T "); {
				if time.Since(begun) > soon {
					t.Fatalf("%s is not stopped: %s", program, h.ReadFile(stat))
				}
			}
		}
	}
}
