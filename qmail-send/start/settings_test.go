package start

import (
	"strings"
	"testing"

	"postrider/internal/world"
)

func TestSMTPListen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"missing", "-", "0.0.0.0:25 [::]:25"},
		{"empty", "", ""},
		{"comments only", "# none\n", ""},
		{"port of all addresses", ":2525\n", "0.0.0.0:2525 [::]:2525"},
		{"both families", "127.0.0.1:25\n[::1]:25\n", "127.0.0.1:25 [::1]:25"},
		{"name", "localhost:25\n", "refused"},
		{"carriage return", ":25\r\n", "refused"},
	} {
		home := newHome(t)
		if c.text != "-" {
			writeControl(t, home, "smtplisten", c.text)
		}
		set, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home})
		if err != nil {
			if c.want != "refused" || !strings.Contains(err.Error(), home+"/control/smtplisten") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var got []string
		for _, at := range set.endpoints {
			got = append(got, at.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// QMTP and QMQP are served where somebody asks for it.
func TestOtherListeners(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	writeControl(t, home, "smtplisten", "")
	for _, c := range []struct{ file, text, program, want string }{
		{"qmtplisten", ":209\n", "qmail-qmtpd", "0.0.0.0:209 [::]:209"},
		{"qmqplisten", "127.0.0.1:628\n", "qmail-qmqpd", "127.0.0.1:628"},
	} {
		set, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home})
		if err != nil || set.serves(c.program) {
			t.Errorf("without %s: %+v, %v", c.file, set.endpoints, err)
		}
		writeControl(t, home, c.file, c.text)
		set, err = readSettings(world.World{Args: []string{"qmail-start"}, Home: home})
		var got []string
		for _, at := range set.endpoints {
			if at.service.program == c.program {
				got = append(got, at.String())
			}
		}
		if strings.Join(got, " ") != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.file, got, err)
		}
		writeControl(t, home, c.file, ":209 tls\n")
		if _, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home}); err == nil {
			t.Errorf("%s takes words", c.file)
		}
		writeControl(t, home, c.file, c.text)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	set, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home})
	if err != nil || string(set.delivery) != "./Mailbox" || set.remotes != 2 || set.logger != nil {
		t.Errorf("without anything: %+v, %v", set, err)
	}
	set, err = readSettings(world.World{Args: []string{"qmail-start", "|cat\n./Maildir/", "logger", "-t", "mail"}, Home: home})
	if err != nil || string(set.delivery) != "|cat\n./Maildir/" || strings.Join(set.logger, " ") != "logger -t mail" {
		t.Errorf("with arguments: %+v, %v", set, err)
	}
	for _, w := range []world.World{
		{Args: []string{"qmail-start", strings.Repeat("x", 70000)}, Home: home},
		{Args: []string{"qmail-start"}, Environ: []string{"A=" + strings.Repeat("x", 70000)}, Home: home},
	} {
		if _, err := readSettings(w); err == nil {
			t.Error("what no frame can hold was accepted")
		}
	}
	for _, text := range []string{"0\n", "65\n", "99999999999999999999\n"} {
		writeControl(t, home, "remoteworkers", text)
		if _, err := readSettings(world.World{Args: []string{"qmail-start"}, Home: home}); err == nil {
			t.Errorf("%q workers were accepted", text)
		}
	}
}
