package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// exampleMail is a message, and what becomes of it.
type exampleMail struct {
	to   string
	code int    // of RCPT; 0: handed in by sendmail
	in   string // a Maildir on the host, or
	out  string // "relay" or "far": the other host that gets it
}

// The examples in contrib do what their README says.
var examples = []struct {
	name string
	make string // commands before the start
	mail []exampleMail
}{
	{"single", "", []exampleMail{
		{"joe@example.org", 250, "/home/joe", ""},
		{"Postmaster@example.org", 250, "/home/joe", ""},
		{"nobody@example.org", 550, "", ""},
		{"x@far.example", 553, "", ""},
		{"x@far.example", 0, "", "far"},
		{"joe", 0, "/home/joe", ""},
	}},
	{"satellite", "", []exampleMail{
		{"x@far.example", 0, "", "relay"},
		{"joe", 0, "", "relay"},
		{"joe@mail.example.org", 0, "", "relay"},
	}},
	{"provider", "sh /var/qmail/home.sh; /var/qmail/bin/qmail-newu", []exampleMail{
		{"joe@customer.example", 250, "/home/vmail/customer.example/joe", ""},
		{"postmaster@customer.example", 250, "/home/vmail/customer.example/joe", ""},
		{"ann@customer.example", 250, "/home/vmail/customer.example/ann", ""},
		{"nobody@customer.example", 550, "", ""},
		{"nobody@shop.example", 550, "", ""},
		{"x@far.example", 553, "", ""},
	}},
	{"backup", "", []exampleMail{
		{"anybody@primary.example", 250, "", "far"},
		{"joe@mail.example.org", 250, "/home/joe", ""},
		{"x@far.example", 553, "", ""},
	}},
	{"lists", "", []exampleMail{
		{"news@lists.example.org", 250, "/home/ann", "far"},
		{"news-owner@lists.example.org", 250, "/home/joe", ""},
		{"news-owner-reader=far.example@lists.example.org", 250, "/home/joe", ""},
	}},
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, tc := range examples {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			net := testhost.NewNetwork(t)
			h := mailHost(t, net, "mail.example.org", "joe", "ann")
			relay, far := net.Host("relay.example.org"), net.Host("mx.far.example")
			sinks := map[string]*testhost.Sink{"relay": relay.Sink(":25", nil), "far": far.Sink(":25", nil)}
			net.Zone().MX("far.example", 10, "mx.far.example")
			net.Zone().MX("primary.example", 10, "mx.far.example")
			net.Zone().MX("primary.example", 20, "mail.example.org")
			dir, err := filepath.Abs("../../contrib/examples/" + tc.name)
			if err != nil {
				t.Fatal(err)
			}
			copyTree(t, h, dir, "/var/qmail")
			if tc.make != "" {
				h.Must("sh", "-ec", tc.make)
			}
			h.StartSuite()
			for i, mail := range tc.mail {
				tryExample(t, h, far, sinks, mail, i)
			}
			h.StopSuite()
		})
	}
}

func tryExample(t *testing.T, h, far *testhost.Host, sinks map[string]*testhost.Sink, mail exampleMail, i int) {
	t.Helper()
	before := 0
	if mail.in != "" {
		before = len(h.MaildirAt(mail.in + "/Maildir").Messages())
	}
	if mail.code == 0 {
		sendmail(h, "ann", []string{mail.to}, letter(mail.to, "example"))
	} else {
		c, err := far.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Command("MAIL FROM:<reader@far.example>", 2); err != nil {
			t.Fatal(err)
		}
		if code := rcptCode(t, c, mail.to); code != mail.code {
			t.Errorf("%s: RCPT is answered %d, want %d", mail.to, code, mail.code)
		}
		if mail.code >= 500 {
			return
		}
		if err := smtp(testhost.Within(t, soon), far, h, "reader@far.example", []string{mail.to}, letter(mail.to, "example")); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.WaitForEmptyQueue(testhost.Within(t, soon)); err != nil {
		t.Fatalf("%s: %v\nlog:\n%s", mail.to, err, h.Log().Timed(0))
	}
	if mail.in != "" && len(h.MaildirAt(mail.in+"/Maildir").Messages()) != before+1 {
		t.Errorf("%s is not in %s\nlog:\n%s", mail.to, mail.in, h.Log().Timed(0))
	}
	for name, sink := range sinks {
		got := sink.Take()
		if want := map[bool]int{true: 1}[name == mail.out]; len(got) != want {
			t.Errorf("%s (no. %d): %s has got %d messages, want %d\nlog:\n%s", mail.to, i, name, len(got), want, h.Log().Timed(0))
		}
	}
}

// copyTree copies what "cp -r from/. to" would.
func copyTree(t *testing.T, h *testhost.Host, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		h.WriteFile(to+strings.TrimPrefix(path, from), string(text), 0o644)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
