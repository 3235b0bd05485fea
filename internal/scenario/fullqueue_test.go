package scenario

import (
	"errors"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// A queue whose disk is nearly full takes no mail, and says so before it comes:
// SMTP clients at MAIL, programs by their exit code, the log by one line. What is
// queued is delivered all the same, and mail is taken again once there is room.
func TestFullQueueTakesNoMail(t *testing.T) {
	t.Parallel()
	testhost.NeedUsers(t)
	h := testhost.NewNetwork(t).Host("mx1.example", testhost.WithDisk(testhost.Disk{Size: 512 << 20}))
	h.Install()
	h.AddUsers("alice")
	h.Control("queueminfree", "20000000")
	h.Control("concurrencylocal", "0") // what comes now stays in the queue
	h.StartSuite()
	sendmail(h, "alice", []string{"alice"}, letter("alice", "before"))
	h.StopSuite()
	h.Control("concurrencylocal", "10")

	free := h.FillDiskBut(10 << 20)
	first := h.Log().Len()
	h.StartSuite()
	h.WaitForLog(first, `alert: no mail is taken: the queue's disk has room for \d+ bytes \(control/queueminfree: 20000000\), until it has for 22500000$`)
	if got := h.Maildir("alice").Wait(testhost.Within(t, soon), 1); !strings.Contains(got[0].Text, "before") {
		t.Errorf("got %s", got[0].Text)
	}
	waitEmpty(t, h)

	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var refused *testhost.Reply
	if err := c.Command("MAIL FROM:<x@client.example>", 2); !errors.As(err, &refused) || refused.Code != 452 || !strings.HasPrefix(refused.Text, "4.3.1 ") {
		t.Errorf("MAIL: %v", err)
	}
	argv := []string{"/usr/sbin/sendmail", "alice"}
	r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: argv, User: "alice", Stdin: letter("alice", "meanwhile")})
	if err != nil || r.Code != 71 {
		t.Errorf("sendmail: %v, %v", r, err)
	}

	first = h.Log().Len()
	free()
	h.WaitForLog(first, `mail is taken again$`)
	sendmail(h, "alice", []string{"alice"}, letter("alice", "after"))
	if got := h.Maildir("alice").Wait(testhost.Within(t, soon), 2); len(got) != 2 {
		t.Errorf("%d messages", len(got))
	}
	if err := c.Command("MAIL FROM:<x@client.example>", 2); err != nil {
		t.Errorf("MAIL: %v", err)
	}
	h.StopSuite()
}
