package scenario

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestAuthpw changes the file of passwords while the suite runs: what has changed
// counts with the next login, a refused order changes nothing, and the file stays
// root's and qmail-auth's.
func TestAuthpw(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("authinsecure", "1")
	h.GivePassword("argon2id", "joe", "one")
	h.StartSuite()
	order := func(code int, stdin string, args ...string) string {
		t.Helper()
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-authpw"}, args...), Stdin: stdin})
		if err != nil || result.Code != code {
			t.Errorf("qmail-authpw %q: %v, %v", args, err, result)
		}
		return result.Stdout
	}
	letsIn := func(user, password string, want bool) {
		t.Helper()
		c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Command("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)), 2)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "535") {
			t.Errorf("%s %s: %v", user, password, err)
		}
	}
	letsIn("joe", "one", true)
	order(0, "two\n", "joe")
	order(0, "three\r\n", "-s", "scram", "jim@example.org")
	letsIn("joe", "one", false)
	letsIn("joe", "two", true)
	letsIn("jim@example.org", "three", true)

	before := h.ReadFile(testhost.PasswordFile)
	if line := order(0, "four", "-n", "-s", "plain", "joe"); line != "joe:{PLAIN}four\n" {
		t.Errorf("-n shows %q", line)
	}
	for _, o := range []struct {
		code  int
		stdin string
		args  []string
	}{
		{100, "x\n", nil}, {100, "x\n", []string{"a", "b"}}, {100, "x\n", []string{"-x", "a"}}, {100, "x\n", []string{"a:b"}}, {100, "x\n", []string{"#a"}},
		{100, "x\n", []string{""}}, {100, "x\n", []string{"a\nb"}}, {100, "x\n", []string{strings.Repeat("a", 256)}},
		{111, "", []string{"joe"}}, {111, "\n", []string{"joe"}}, {111, strings.Repeat("x", 1025) + "\n", []string{"joe"}}, {111, "a\x00b\n", []string{"joe"}},
		{111, "x\n", []string{"-s", "md5", "joe"}}, {111, "", []string{"-d", "nobody"}},
	} {
		order(o.code, o.stdin, o.args...)
	}
	if after := h.ReadFile(testhost.PasswordFile); after != before {
		t.Errorf("changed to %q from %q", after, before)
	}
	if !regexp.MustCompile(`^#key [A-Za-z0-9+/=]{44}\njoe:\$argon2id\$.*\njim@example\.org:\{SCRAM-SHA-256\}.*\n$`).MatchString(before) {
		t.Errorf("the file is %q", before)
	}
	order(0, "", "-d", "joe")
	letsIn("joe", "two", false)
	if mode := strings.TrimSpace(h.Must("stat", "-c", "%U:%G %a", testhost.PasswordFile)); mode != "root:qmaila 640" {
		t.Errorf("the file is of %s", mode)
	}
	h.StopSuite()
}
