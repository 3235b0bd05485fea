package scenario

import (
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestClientsBehindOthers: a load balancer and a filter say whose mail it is,
// as swaks and curl do for them, with TLS behind that.
func TestClientsBehindOthers(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", ":25", ":2526 proxy", ":4650 proxy tls")
	h.Control("proxyhosts", h.IP.String())
	h.Control("xclienthosts", h.IP.String())
	h.GiveKey()
	h.StartSuite()
	swaks := func(name string, more ...string) []string {
		return append([]string{"swaks", "--tls", "--server", h.Name, "--to", "alice@mx1.example", "--from", "x@else.example", "--h-Subject", name}, more...)
	}
	proxy := func(version string) []string {
		return []string{"--port", "2526", "--proxy-version", version, "--proxy-family", map[string]string{"1": "TCP4", "2": "AF_INET"}[version],
			"--proxy-source", "192.0.2.7" + version, "--proxy-source-port", "1025", "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"}
	}
	for i, c := range []struct {
		name, client string
		argv         []string
	}{
		{"proxy-1", "(192.0.2.71)", swaks("proxy-1", proxy("1")...)},
		{"proxy-2", "(192.0.2.72)", swaks("proxy-2", proxy("2")...)},
		{"xclient", "from far.example (HELO helo.example) (joe@192.0.2.73)",
			swaks("xclient", "--xclient-addr", "192.0.2.73", "--xclient-name", "far.example", "--xclient-login", "joe", "--helo", "helo.example")},
		{"xclient-first", "(192.0.2.74)", swaks("xclient-first", "--xclient-addr", "192.0.2.74", "--xclient-before-starttls")},
		{"curl", "(" + h.IP.String() + ")", []string{"curl", "-sSk", "--crlf", "--haproxy-protocol", "smtps://" + h.Name + ":4650",
			"--mail-from", "x@else.example", "--mail-rcpt", "alice@mx1.example", "-T", "-"}},
	} {
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv, Stdin: letter("alice", c.name)})
		if err != nil || result.Code != 0 {
			t.Fatalf("%s: %v, %v\nlog:\n%s", c.name, err, result, h.Log().Timed(0))
		}
		for _, m := range h.Maildir("alice").Wait(testhost.Within(t, soon), i+1) {
			with := " with ESMTPS ("
			if strings.Contains(c.client, "joe@") {
				with = " with ESMTPSA ("
			}
			if m.Header("Subject") == c.name && (!strings.Contains(m.Text, c.client+"\n") || !strings.Contains(m.Text, with)) {
				t.Errorf("%s: got %s", c.name, m.Text)
			}
		}
	}
	// Who is none of them has no such port.
	h.Control("proxyhosts", "192.0.2.99")
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: swaks("away", proxy("1")...)})
	if err != nil || result.Code == 0 || !strings.Contains(result.Stdout, "554 5.7.1 sorry, this port is for proxies") {
		t.Errorf("%v, %v", err, result)
	}
	h.StopSuite()
}
