package qmailremote

import (
	"io"
	"os"
	"strings"
	"testing"

	"postrider/internal/world"
)

// run calls the classic form with a client of h and returns what it printed.
func (h *host) run(w world.World) string {
	h.t.Helper()
	r, out, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	w.Stdout, w.Clock = out, h.client.clock
	if w.Home == "" {
		w.Home = h.t.TempDir()
	}
	if w.Stdin == nil {
		w.Stdin = messageFile(h.t, simpleMessage)
	}
	if status := classic(w, h.client); status != 0 {
		h.t.Errorf("status %d", status)
	}
	out.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.NewReplacer("\x00", "|", "\n", "/").Replace(string(got))
}

func args(s string) []string { return strings.Fields("qmail-remote " + s) }

func TestClassic(t *testing.T) {
	t.Parallel()
	const invoked = "DI (qmail-remote) was invoked improperly. (#5.3.5)/|"
	for _, c := range []struct {
		name   string
		world  world.World
		script string
		want   string
	}{
		{"no operand", world.World{Args: args("")}, "", invoked},
		{"two operands", world.World{Args: args("d.example s@x.example")}, "", invoked},
		{"no home directory", world.World{Args: args("d.example s@x.example r@d.example"), Home: "/nonexistent"}, "",
			"ZUnable to switch to home directory. (#4.3.0)/|"},
		{"delivered", world.World{Args: args("d.example s@x.example r@d.example")}, success, ok1},
		{"null sender", world.World{Args: []string{"qmail-remote", "d.example", "", "r@d.example"}},
			strings.Replace(success, "FROM:<s@x.example>", "FROM:<>", 1), ok1},
		{"unknown host", world.World{Args: args("nowhere s@x.example r@d.example")}, "",
			"DSorry, I couldn't find any host named nowhere. (#5.1.2)/|"},
		{"line end in the sender", world.World{Args: []string{"qmail-remote", "d.example", "a\r\nRCPT TO:<x>@y", "r@d.example"}}, "",
			"DSorry, the sender address cannot be sent by SMTP. (#5.1.7)/|"},
		{"line end in a recipient", world.World{Args: []string{"qmail-remote", "d.example", "s@x.example", "a\n@d.example", "r@d.example"}}, success,
			"hSorry, this address cannot be sent by SMTP. (#5.1.3)/|" + ok1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneMX...)
			if c.script != "" {
				h.peer("192.0.2.1", script(c.script))
			}
			if got := h.run(c.world); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

func TestClassicUnreadable(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	f := messageFile(t, "x")
	f.Close()
	got := h.run(world.World{Args: args("d.example s@x.example r@d.example"), Stdin: f})
	if got != "ZUnable to read message. (#4.3.0)/|" {
		t.Errorf("got %s", got)
	}
}

func TestClassicControls(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	h.client.settings = (&settingsFiles{home: home(t, nil), resolvConf: "/nonexistent", clock: h.client.clock}).current
	log, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	got := h.run(world.World{Args: args("d.example s@x.example r@d.example"), Stderr: log})
	if got != "ZUnable to read control files. (#4.3.0)/|" {
		t.Errorf("got %s", got)
	}
	if text, _ := os.ReadFile(log.Name()); !strings.HasPrefix(string(text), "qmail-remote: warning: ") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("log %q", text)
	}
}

// TestClassicFull: reports that cannot be written are not a success.
func TestClassicFull(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if status := classic(world.World{Args: args(""), Stdout: full}, h.client); status != exitTrouble {
		t.Errorf("status %d", status)
	}
}

// TestForRecipient is the table of spec 3.3.
func TestForRecipient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reports, want string }{
		{"r|Kok", "Kok"},
		{"hno|Dgive", "Dnogive"},
		{"slater|Dgive", "Zlatergive"},
		{"hno|Ztemp", "Dno"},
		{"slater|Kok", "Zlater"},
		{"slater|Ztemp", "Zlatertemp"},
		{"hno|Kok", "Dno"},
		{"r|Ztemp", "Ztemp"},
		{"r|Dgive", "Dgive"},
		{"Zalone", "Zalone"},
		{"Dalone", "Dalone"},
	} {
		parts := strings.Split(c.reports, "|")
		last := parts[len(parts)-1]
		o := outcome{message: report{class: last[0], text: last[1:]}}
		for _, p := range parts[:len(parts)-1] {
			o.recipients = append(o.recipients, report{class: p[0], text: p[1:]})
		}
		if got := o.forRecipient(0); string(got.class)+got.text != c.want {
			t.Errorf("%s: got %c%s, want %s", c.reports, got.class, got.text, c.want)
		}
	}
}
