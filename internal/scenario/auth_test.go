package scenario

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// authClient is a program that logs in and sends to another host.
type authClient struct {
	name  string
	argv  func(password string) []string
	stdin string
}

func swaksBy(h *testhost.Host, method string, more ...string) authClient {
	return authClient{name: "swaks " + method + strings.Join(more, " "), argv: func(password string) []string {
		return append([]string{"swaks", "--server", h.Name, "--auth", method, "--auth-user", "joe", "--auth-password", password,
			"--to", "alice@mx2.example", "--from", "joe@mx1.example"}, more...)
	}}
}

func msmtpBy(h *testhost.Host, method string, more ...string) authClient {
	return authClient{name: "msmtp " + method, stdin: letter("alice@mx2.example", "msmtp"), argv: func(password string) []string {
		return append([]string{"msmtp", "--host=" + h.Name, "--auth=" + method, "--user=joe", "--passwordeval=echo " + password,
			"--from=joe@mx1.example", "alice@mx2.example"}, more...)
	}}
}

func pythonBy(h *testhost.Host, method string) authClient {
	return authClient{name: "python " + method, stdin: letter("alice@mx2.example", "python"), argv: func(password string) []string {
		return []string{"/usr/bin/python3", "-c", pythonLogin, h.Name, method, password}
	}}
}

const pythonLogin = `import smtplib, sys
s = smtplib.SMTP(sys.argv[1], 25)
s.ehlo()
s.user, s.password = "joe", sys.argv[3]
s.auth(sys.argv[2], getattr(s, "auth_" + sys.argv[2].lower().replace("-", "_")))
s.sendmail("joe@mx1.example", ["alice@mx2.example"], sys.stdin.read())
s.quit()
`

// TestClientsLogIn has programs that people use log in by each mechanism that
// they know, and relay; with a wrong password none does.
func TestClientsLogIn(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice")
	far := mailHost(t, network, "mx2.example", "alice")
	far.StartSuite()
	h.Control("authinsecure", "1")
	h.Control("authcram", "1")
	h.GivePassword("plain", "joe", "secret")
	h.StartSuite()
	clients := []authClient{
		swaksBy(h, "PLAIN"), swaksBy(h, "LOGIN"), swaksBy(h, "CRAM-MD5"),
		msmtpBy(h, "plain"), msmtpBy(h, "login"), msmtpBy(h, "cram-md5"), msmtpBy(h, "scram-sha-256"),
		pythonBy(h, "PLAIN"), pythonBy(h, "LOGIN"), pythonBy(h, "CRAM-MD5"),
	}
	for _, c := range clients {
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv("secret"), Stdin: c.stdin})
		if err != nil || result.Code != 0 {
			t.Errorf("%s: %v, %v\nlog:\n%s", c.name, err, result, h.Log().Timed(0))
		}
	}
	if t.Failed() {
		return
	}
	for _, m := range far.Maildir("alice").Wait(testhost.Within(t, soon), len(clients)) {
		if !strings.Contains(m.Text, "(joe@") || !strings.Contains(m.Text, "by mx1.example with ESMTPA; ") {
			t.Errorf("got %s", m.Text)
		}
	}
	first := h.Log().Len()
	for _, c := range []authClient{swaksBy(h, "PLAIN"), msmtpBy(h, "scram-sha-256"), pythonBy(h, "CRAM-MD5")} {
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv("wrong"), Stdin: c.stdin})
		if err != nil || result.Code == 0 {
			t.Errorf("%s with a wrong password: %v, %v", c.name, err, result)
		}
	}
	if n := count(h, first, "qmail-smtpd: auth failed ip="+h.IP.String()+" user=joe method="); n != 3 {
		t.Errorf("%d lines about failures\n%s", n, h.Log().Timed(first))
	}
	for _, secret := range []string{"secret", "wrong\n", base64.StdEncoding.EncodeToString([]byte("\x00joe\x00secret"))} {
		if n := count(h, 0, secret); n > 0 {
			t.Errorf("%q is in the log", secret)
		}
	}
	h.StopSuite()
	far.StopSuite()
}

// pythonMatch prints the host of each line of standard input that an expression of
// fail2ban matches, which are Python's.
const pythonMatch = `import re, sys
expression = re.compile(sys.argv[1].replace("<HOST>", r"(?P<host>[0-9a-f.:]+)"))
for line in sys.stdin:
    m = expression.search(line)
    if m:
        print(m["host"])
`

// TestFail2ban has the expression in docs/operations.md find each failure that is
// the client's fault, with the right address whatever the user's name is, and no
// other line.
func TestFail2ban(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, expression, _ := strings.Cut(string(text), "failregex = ")
	expression, _, _ = strings.Cut(expression, "\n")
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("authinsecure", "1")
	h.GivePassword("scram", "joe", "secret")
	h.StartSuite()
	attempts := []struct{ user, password string }{
		{"joe", "wrong"}, {"joe", "secret"}, {"x ip=192.0.2.9 user=joe", "x"}, {"why=unable", "x"}, {"\nqmail-smtpd: auth failed ip=192.0.2.9 user=a method=b why=c", "x"}, {"", "x"},
	}
	for _, a := range attempts {
		c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
		if err != nil {
			t.Fatal(err)
		}
		err = c.Command("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+a.user+"\x00"+a.password)), 2)
		if (err == nil) != (a.password == "secret") {
			t.Errorf("%q: %v", a.user, err)
		}
		c.Close()
	}
	h.StopSuite()
	log := &strings.Builder{}
	for _, line := range h.Log().Lines(0) {
		log.WriteString(line.Text + "\n")
	}
	log.WriteString("qmail-smtpd: auth failed ip=" + h.IP.String() + " user=joe method=PLAIN why=unable_to_check\n")
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/usr/bin/python3", "-c", pythonMatch, expression}, Stdin: log.String()})
	if want := strings.Repeat(h.IP.String()+"\n", len(attempts)-1); err != nil || result.Code != 0 || result.Stdout != want {
		t.Errorf("%q matches %v, %v\nlog:\n%s", expression, err, result, log)
	}
}

// TestClientsLogInByTLS: AUTH is offered inside TLS alone, on a port for
// submission too.
func TestClientsLogInByTLS(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice")
	far := mailHost(t, network, "mx2.example", "alice")
	far.StartSuite()
	h.Control("smtplisten", ":25", ":465 tls submission", ":587 submission")
	h.WriteFile("/tmp/ca.pem", h.GiveKey(), 0o644)
	h.GivePassword("scram", "joe", "secret")
	h.StartSuite()
	trust := []string{"--tls=on", "--tls-trust-file=/tmp/ca.pem"}
	clients := []authClient{
		swaksBy(h, "PLAIN", "--tls"), swaksBy(h, "LOGIN", "--tlsc", "--port", "465"), swaksBy(h, "PLAIN", "--tls", "--port", "587"),
		msmtpBy(h, "scram-sha-256", append(trust, "--port=587")...), msmtpBy(h, "on", append(trust, "--port=465", "--tls-starttls=off")...),
		{name: "curl", stdin: letter("alice@mx2.example", "curl"), argv: func(password string) []string {
			return []string{"curl", "-sS", "--crlf", "--cacert", "/tmp/ca.pem", "smtps://" + h.Name, "--user", "joe:" + password,
				"--mail-from", "joe@mx1.example", "--mail-rcpt", "alice@mx2.example", "-T", "-"}
		}},
	}
	for _, c := range clients {
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv("secret"), Stdin: c.stdin})
		if err != nil || result.Code != 0 {
			t.Errorf("%s: %v, %v\nlog:\n%s", c.name, err, result, h.Log().Timed(0))
		}
	}
	if t.Failed() {
		return
	}
	for _, m := range far.Maildir("alice").Wait(testhost.Within(t, soon), len(clients)) {
		if !strings.Contains(m.Text, "with ESMTPSA (TLS1.") || !strings.Contains(m.Text, "encrypted, authenticated)") {
			t.Errorf("got %s", m.Text)
		}
	}
	for _, c := range []authClient{swaksBy(h, "PLAIN"), swaksBy(h, "PLAIN", "--port", "587")} {
		if result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: c.argv("secret")}); err != nil || result.Code == 0 {
			t.Errorf("%s in plain text: %v, %v", c.name, err, result)
		}
	}
	checkNoHash(t, h)
	h.StopSuite()
	far.StopSuite()
}

// TestGSASL has the client of GNU SASL bind its login to TLS (RFC 9266).
func TestGSASL(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", ":25", ":587 submission")
	h.WriteFile("/tmp/ca.pem", h.GiveKey(), 0o644)
	h.GivePassword("scram", "joe", "secret")
	h.StartSuite()
	const loggedIn = "session=[0-9]+ ip=[0-9.]+ user=joe method="
	for _, c := range []struct {
		mechanism, user, password string
		more                      []string
		want                      string // in the log
	}{
		{"SCRAM-SHA-256-PLUS", "joe", "secret", nil, loggedIn + "SCRAM-SHA-256-PLUS"},
		{"SCRAM-SHA-256", "joe", "secret", []string{"--no-cb"}, loggedIn + "SCRAM-SHA-256"},
		{"PLAIN", "joe", "secret", nil, loggedIn + "PLAIN"},
		{"LOGIN", "joe", "secret", nil, loggedIn + "LOGIN"},
		{"SCRAM-SHA-256-PLUS", "joe", "wrong", nil, "user=joe method=SCRAM-SHA-256-PLUS why=wrong_user_or_password"},
		{"SCRAM-SHA-256-PLUS", "nobody", "secret", nil, "user=nobody method=SCRAM-SHA-256-PLUS why=wrong_user_or_password"},
	} {
		first := h.Log().Len()
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: append([]string{"gsasl", "--smtp", "--starttls", "--no-client-first",
			"--connect=" + h.Name + ":587", "--x509-ca-file=/tmp/ca.pem", "--mechanism=" + c.mechanism,
			"--authentication-id=" + c.user, "--password=" + c.password, "--hostname=" + h.Name}, c.more...)})
		if err != nil || (result.Code == 0) != strings.HasPrefix(c.want, loggedIn) {
			t.Errorf("%+v: %v, %+v", c, err, result)
		}
		h.WaitForLog(first, "^qmail-smtpd: auth .*"+c.want+"$")
	}
	h.StopSuite()
}

// checkNoHash looks for what is kept of passwords in the memory of processes,
// after logins: it is in qmail-auth alone.
func checkNoHash(t *testing.T, h *testhost.Host) {
	t.Helper()
	fields := strings.Split(strings.TrimSpace(h.ReadFile(testhost.PasswordFile)), ",")
	parts := make(map[string][]byte)
	for i, name := range []string{"StoredKey", "ServerKey"} {
		coded := fields[2+i]
		key, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			t.Fatal(err)
		}
		parts[name], parts[name+" in base64"] = key, []byte(coded)
	}
	if found, _ := searchMemory(t, h, "qmail-auth", parts); len(found) == 0 {
		t.Error("qmail-auth has no key: this test sees nothing")
	}
	for _, program := range []string{"qmail-smtpd", "qmail-start", "qmail-spool", "qmail-send"} {
		if found, looked := searchMemory(t, h, program, parts); len(found) > 0 || looked < 1<<20 {
			t.Errorf("%s has %v, in %d bytes", program, found, looked)
		}
	}
}

// TestNoAuthWithoutPasswords: no process, no offer; and no start with a file
// that others may read.
func TestNoAuthWithoutPasswords(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("authinsecure", "1")
	h.StartSuite()
	if found := h.Find("qmail-auth"); len(found) > 0 {
		t.Error("qmail-auth runs")
	}
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Command("AUTH PLAIN", 3); err == nil {
		t.Error("AUTH is taken")
	}
	c.Close()
	h.StopSuite()
	h.GivePassword("argon2id", "joe", "secret")
	for _, wrong := range [][]string{{"chmod", "644", testhost.PasswordFile}, {"chgrp", "nofiles", testhost.PasswordFile}, {"chown", "qmaild", testhost.PasswordFile}} {
		h.Must(wrong...)
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/qmail-start"}})
		if err != nil || result.Code != 111 || !strings.Contains(result.Stderr, testhost.PasswordFile) {
			t.Errorf("%v: %v, %v", wrong, err, result)
		}
		h.Must("chown", "root:qmaila", testhost.PasswordFile)
		h.Must("chmod", "640", testhost.PasswordFile)
	}
}

// checkPassword makes qmail-checkpass run in the place of qmail-auth.
func checkPassword(h *testhost.Host) { h.Control("checkpassword", "/bin/false") }

// checkScript is a checkpassword program: it lets joe in with "secret", knows
// CRAM-MD5, and keeps what it was given and who it is.
const checkScript = `#!/usr/bin/python3
import hashlib, hmac, os, sys
given = os.fdopen(3, "rb").read().split(b"\0")
user, password, challenge = given[0], given[1], given[2]
with open("/tmp/given", "ab") as f:
    f.write(repr((given, os.getuid(), os.getgid(), os.getgroups(), sorted(os.environ.items()), sorted(map(int, os.listdir("/proc/self/fd")))[:5])).encode() + b"\n")
if user == b"broken":
    os.abort()
if user == b"later":
    sys.exit(111)
if challenge:
    good = hmac.new(b"secret", challenge, hashlib.md5).hexdigest().encode() == password
else:
    good = password == b"secret"
if user != b"joe" or not good:
    sys.exit(1)
os.execv(sys.argv[1], sys.argv[1:])
`

// TestCheckpassword has passwords checked by a program, as the users that the
// administrator may name.
func TestCheckpassword(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "alice", "root"} {
		t.Run("as "+user, func(t *testing.T) {
			t.Parallel()
			h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
			h.Control("authinsecure", "1")
			h.Control("authcram", "1")
			h.WriteFile("/tmp/check", checkScript, 0o755)
			h.WriteFile("/tmp/given", "", 0o666)
			h.Must("chmod", "666", "/tmp/given")
			h.Control("checkpassword", "/tmp/check /bin/true")
			if user != "" {
				h.Control("checkpassuser", user)
			}
			h.GivePassword("scram", "jim", "pencil") // counts for nothing
			h.StartSuite()
			if found := h.Find("qmail-auth"); len(found) > 0 {
				t.Error("qmail-auth runs")
			}
			if user == "root" {
				h.WaitForLog(0, `^qmail-checkpass: warning: runs as root`)
			}
			ask := func(command, want string) {
				t.Helper()
				c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.Command(command, 2); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%q: %v, want %q\nlog:\n%s", command, err, want, h.Log().Timed(0))
				}
			}
			plain := func(user, password string) string {
				return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))
			}
			ask(plain("joe", "secret"), "")
			ask(plain("joe", "wrong"), "535")
			ask(plain("jim", "pencil"), "535")
			ask(plain("broken", "x"), "454")
			ask(plain("later", "x"), "454")
			ask(plain("joe", strings.Repeat("x", 600)), "535")
			for _, method := range []string{"LOGIN", "CRAM-MD5"} {
				result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"swaks", "--server", h.Name, "--auth", method,
					"--auth-user", "joe", "--auth-password", "secret", "--to", "alice@mx1.example", "--from", "x@mx1.example"}})
				if err != nil || result.Code != 0 {
					t.Errorf("%s: %v, %v", method, err, result)
				}
			}
			checkGiven(t, h, user)
			h.StopSuite()
		})
	}
}

// checkGiven compares who the program was, and with what.
func checkGiven(t *testing.T, h *testhost.Host, user string) {
	t.Helper()
	if user == "" {
		user = "qmaila"
	}
	group := map[string]string{"qmaila": "nofiles"}[user]
	if group == "" {
		group = user
	}
	given := h.ReadFile("/tmp/given")
	first, _, _ := strings.Cut(given, "\n")
	want := fmt.Sprintf(`([b'joe', b'secret', b'', b''], %d, %d, [], [('PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), ('PROTO', 'TCP'), ('TCPLOCALPORT', '25'), ('TCPREMOTEIP', '%s')], `,
		h.UserID(user), h.GroupID(group), h.IP)
	if !strings.HasPrefix(strings.ReplaceAll(first, "('LC_CTYPE', 'C.UTF-8'), ", ""), want) {
		t.Errorf("got  %s\nwant %s", first, want)
	}
}
