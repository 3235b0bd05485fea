package qmailremote

import (
	"io"
	"os"
	"strings"
	"testing"

	"postrider/internal/world"
)

// explained calls the form --explain and returns what it printed.
func (h *host) explained(operands ...string) (text string, status int) {
	h.t.Helper()
	r, out, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	w := world.World{Args: append([]string{"qmail-remote", explainOption}, operands...), Stdout: out, Stderr: out, Clock: h.client.clock}
	status = explain(w, h.client)
	out.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(got), status
}

func TestExplain(t *testing.T) {
	t.Parallel()
	h := newHost(t, twoMX...)
	h.peer("192.0.2.2", "S 220 peer\nC EHLO me.example.org\nS- 250-peer\\r\\n250-PIPELINING\\r\\n250-SIZE 100\\r\\n250-LIMITS RCPTMAX=7\\r\\n250 AUTH \x1b[31mPLAIN\\r\\n\nC QUIT")
	got, status := h.explained("r@d.example")
	got = hideConnection(got)
	want := `route: none, by the DNS
mx: 10 mx1.d.example
mx: 20 mx2.d.example
address: 192.0.2.1:25 preference 10 host mx1.d.example from any address as me.example.org
address: 192.0.2.2:25 preference 20 host mx2.d.example from any address as me.example.org
connection: 192.0.2.1:25: connection refused
connection: 192.0.2.2:25 from ADDRESS
server: offers PIPELINING, SIZE 100, AUTH _[31mPLAIN, RCPTMAX=7
result: mail would be sent now
`
	if status != 0 || sortMX(got) != want {
		t.Errorf("status %d, got\n%s\nwant\n%s", status, got, want)
	}
	h.end()
}

func TestExplainRoutes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set.routes = map[string]string{"d.example": "127.0.0.7:587|joe|secret", "bad.example": "x:y|joe|secret", "null.example": "192.0.2.9"}
	h.set.tables.senders = map[string]string{"@x.example": "192.0.2.8"}
	h.peer("127.0.0.7:587", "S 220 peer\nC EHLO me.example.org\nS 250 AUTH\nC QUIT")
	for _, c := range []struct {
		operands, want string
		status         int
	}{
		{"r@d.example", "route: control/smtproutes: [127.0.0.7] port 587, logging in as \"joe\"\n" +
			"address: 127.0.0.7:587 preference 0 host none from any address as me.example.org\n" +
			"result: Connected to 127.0.0.7 but it offers no way to log in that I know. (#4.7.0)\n" +
			"result: Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", 0},
		{"r@bad.example", "result: Unable to use control/smtproutes: route for \"bad.example\": not a port number. (#4.3.5)\n", 0},
		{"r@d.example s@x.example", "route: control/authsenders: [192.0.2.8] port 25\n" +
			"address: 192.0.2.8:25 preference 0 host none from any address as me.example.org\n" +
			"connection: 192.0.2.8:25: connection refused\n" +
			"result: Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", 0},
		{"nowhere.example", "route: none, by the DNS\nmx: no such name\n" +
			"result: Sorry, I couldn't find any host named nowhere.example. (#5.1.2)\n", 0},
		{"", usage, exitMisused},
		{"r@d.example s@x.example x", usage, exitMisused},
		{"r@d>x", usage, exitMisused},
	} {
		got, status := h.explained(strings.Fields(c.operands)...)
		if got != c.want || status != c.status {
			t.Errorf("%s: status %d, got\n%swant\n%s", c.operands, status, got, c.want)
		}
	}
	h.end()
}

// hideConnection replaces our end of a connection, whose port is any.
func hideConnection(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if at := strings.Index(line, " from 127."); at >= 0 {
			lines[i] = line[:at] + " from ADDRESS"
		}
	}
	return strings.Join(lines, "\n")
}

// sortMX sorts the second and third line: the DNS has no order.
func sortMX(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) > 3 && lines[1] > lines[2] {
		lines[1], lines[2] = lines[2], lines[1]
	}
	return strings.Join(lines, "\n")
}
