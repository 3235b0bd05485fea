package scenario

import (
	"os"
	"slices"
	"strings"
	"testing"

	"postrider/internal/queuedir"
	"postrider/internal/testhost"
)

// TestDropDirectoryAttacks lets an ordinary user put into the drop directory
// what is no message, while the spool runs and while it does not.
func TestDropDirectoryAttacks(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "mallory", "alice")
	h.WriteFile("/etc/secret", "secret of root\n", 0o600)
	h.WriteFile("/home/alice/private", "private of alice\n", 0o644)
	h.Chown("/home/alice/private", "alice")
	h.StartSuite()
	attack(t, h)
	h.StopSuite()
	attack(t, h)
	h.StartSuite()
	// What is sound is taken in all the same, and the spool is the same
	// process: nothing made it die.
	sendmail(h, "mallory", []string{"alice"}, letter("alice", "after"))
	got := h.Maildir("alice").Wait(testhost.Within(t, soon), 1)
	if len(got) != 1 || got[0].Header("Subject") != "after" {
		t.Errorf("got %v", got)
	}
	if n := count(h, 0, "qmail-spool (pid"); n != 1 { // the one that was stopped
		t.Errorf("the spool died:\n%s", h.Log().Timed(0))
	}
	waitEmpty(t, h)
	// What is named as a message and is none is gone, or set aside.
	if left, err := h.WaitForFiles(testhost.Within(t, soon), "/var/qmail/queue/drop", func(names []string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return queuedir.IsDropName(n) && !strings.HasSuffix(n, "af") })
	}); err != nil {
		t.Errorf("%v: %q\n%s", err, left, h.Log().Timed(0))
	}
	if aside, err := os.ReadDir(h.Path("/var/qmail/queue/bad/unacked")); err != nil || len(aside) == 0 {
		t.Errorf("nothing was set aside: %v", err)
	}
	h.StopSuite()
	if got := h.ReadFile("/etc/secret") + h.ReadFile("/home/alice/private"); got != "secret of root\nprivate of alice\n" {
		t.Errorf("files changed: %q", got)
	}
	for _, m := range append(h.Maildir("alice").Messages(), h.Maildir("mallory").Messages()...) {
		if strings.Contains(m.Text, "secret of root") || strings.Contains(m.Text, "private of alice") {
			t.Errorf("a foreign file became mail: %s", m.Text)
		}
	}
}

// attack does as mallory what she can do with the drop directory. Names are of
// the kind the suite's own programs use, so that they are looked at.
func attack(t *testing.T, h *testhost.Host) {
	t.Helper()
	const script = `
cd /var/qmail/queue/drop || exit 1
ls >/dev/null 2>&1 && echo "may list"
n=0
name() { n=$((n+1)); printf '%s%030x' "$1" "$((n + $$ * 100))"; }
for dot in . ""; do
	ln -s /etc/secret "$(name $dot)aa"
	ln -s /home/alice/private "$(name $dot)ab"
	ln -s ../../control/me "$(name $dot)ac"
	ln /home/alice/private "$(name $dot)ad" 2>/dev/null && echo "may link another's file"
	mkfifo -m 666 "$(name $dot)ae"
	mkdir "$(name $dot)af"
	: > "$(name $dot)ba"
	echo garbage > "$(name $dot)bb"
	head -c 3000000 /dev/zero > "$(name $dot)bc"
	truncate -s 1T "$(name $dot)bd"
	f="$(name $dot)be"; echo x > "$f"; ln "$f" "$(name $dot)bf"
	echo x > "$(name $dot)cc"; chmod 000 "$(name $dot)cd" 2>/dev/null
done
: > "a name with blanks"
: > "$(printf 'line\nbreak')"
exit 0
`
	r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-c", script}, User: "mallory"})
	if err != nil || r.Code != 0 || r.Stdout != "" {
		t.Fatalf("%v %v", r, err)
	}
	if _, err := os.Stat(h.Path("/var/qmail/queue/drop")); err != nil {
		t.Error(err)
	}
}
