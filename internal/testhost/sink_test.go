package testhost

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestSinkAndClient(t *testing.T) {
	t.Parallel()
	net := NewNetwork(t)
	a, b := net.Host("a.example"), net.Host("b.example")
	sink := b.Sink(":25", nil)
	c, err := a.SMTP(Within(t, patience), b.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	const text = "Subject: x\n\n.dot\n..two\nend\n"
	if err := c.Send("s@a.example", []string{"r@b.example", "q@b.example"}, text); err != nil {
		t.Fatal(err)
	}
	got := sink.Wait(Within(t, patience), 1)[0]
	if got.Sender != "s@a.example" || strings.Join(got.Recipients, " ") != "r@b.example q@b.example" || got.Text != text {
		t.Errorf("got %+v", got)
	}
	sink.SetScript(func(verb, argument string) string {
		switch {
		case verb == "RCPT" && strings.Contains(argument, "bad@"):
			return "550 no such user"
		case verb == "data":
			return "451 later"
		case verb == "NOOP":
			return HangUp
		}
		return Default
	})
	for recipient, code := range map[string]int{"bad@b.example": 550, "good@b.example": 451} {
		var reply *Reply
		if err := c.Send("s@a.example", []string{recipient}, text); !errors.As(err, &reply) || reply.Code != code {
			t.Errorf("%s: got %v", recipient, err)
		}
	}
	if err := c.Command("NOOP", 2); err == nil {
		t.Error("no hang-up")
	}
	if n := len(sink.Accepted()); n != 1 || sink.Sessions() != 1 {
		t.Errorf("%d messages, %d sessions", n, sink.Sessions())
	}
}

func TestLogWakesWaiters(t *testing.T) {
	t.Parallel()
	h := NewNetwork(t).Host("h.example")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go h.log.read(r)
	if _, err := h.Start(Command{Argv: []string{"sh", "-c", "echo one; echo two 22; printf end"}, Files: []*os.File{devNull(t), w, w}}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := h.WaitForLog(0, `^two (\d+)$`); got[1] != "22" {
		t.Errorf("got %q", got)
	}
	h.WaitForLog(2, `^end$`)
	if got := h.Log().Text(1); got != "two 22\nend\n" {
		t.Errorf("got %q", got)
	}
}

func TestMaildirIsWatched(t *testing.T) {
	t.Parallel()
	h := NewNetwork(t).Host("h.example")
	h.AddUser("alice")
	box := h.Maildir("alice")
	go h.Run(t.Context(), Command{Argv: []string{"sh", "-c", "cd /home/alice/Maildir; printf 'Subject: a\\n b\\n\\nbody\\n' >tmp/1 && mv tmp/1 new/1"}})
	messages := box.Wait(Within(t, patience), 1)
	if len(messages) != 1 || messages[0].Header("subject") != "a b" || messages[0].Body() != "body\n" || box.Count() != 1 {
		t.Errorf("got %q", messages)
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
