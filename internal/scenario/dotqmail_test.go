package scenario

import (
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// own writes a file into a user's home directory.
func own(h *testhost.Host, user, name, text string) {
	h.WriteFile("/home/"+user+"/"+name, text, 0o600)
	h.Chown("/home/"+user+"/"+name, user)
}

func TestInstructionsOfUsers(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob", "carol", "dave")
	own(h, "alice", ".qmail", "&bob@mx1.example\n./Maildir/\n")
	own(h, "carol", ".qmail", "|cat > $HOME/piped; echo \"$SENDER $RECIPIENT $EXT\" > $HOME/variables\n")
	own(h, "carol", ".qmail-default", "|cat >/dev/null; echo \"$DEFAULT\" > $HOME/default\n")
	own(h, "dave", ".qmail", "./box\n")
	h.WriteFile("/var/qmail/alias/.qmail-sales", "&carol-order@mx1.example\n", 0o644)
	h.StartSuite()
	sendmail(h, "root", []string{"-f", "s@else.example", "alice", "carol", "dave", "sales"}, letter("all", "instructions"))
	waitEmpty(t, h)
	for _, user := range []string{"alice", "bob"} {
		got := h.Maildir(user).Messages()
		if len(got) != 1 || got[0].Header("Subject") != "instructions" || got[0].Header("Return-Path") != "<s@else.example>" {
			t.Errorf("%s: got %v", user, got)
		}
	}
	if got := h.ReadFile("/home/carol/piped"); !strings.Contains(got, "Subject: instructions\n") {
		t.Errorf("program got %s", got)
	}
	if got := h.ReadFile("/home/carol/variables"); got != "s@else.example carol@mx1.example \n" {
		t.Errorf("variables: %q", got)
	}
	if got := h.ReadFile("/home/carol/default"); got != "order\n" {
		t.Errorf("default: %q", got)
	}
	if got := h.ReadFile("/home/dave/box"); !strings.HasPrefix(got, "From s@else.example ") || !strings.HasSuffix(got, "\n\n") {
		t.Errorf("mbox: %q", got)
	}
	if got := strings.TrimSpace(h.Must("stat", "-c", "%U %a", "/home/dave/box", "/home/carol/piped")); got != "dave 600\ncarol 600" {
		t.Errorf("owners and modes: %q", got)
	}
	h.StopSuite()
}

func TestNobodyIsBounced(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	own(h, "bob", ".qmail", "|echo out of order; exit 100\n")
	h.StartSuite()
	sendmail(h, "alice", []string{"nobody", "bob", "alice-nothing"}, letter("nobody", "lost"))
	waitEmpty(t, h)
	got := h.Maildir("alice").Messages()
	if len(got) != 1 {
		t.Fatalf("%d messages for the sender, want one bounce", len(got))
	}
	for _, part := range []string{"<nobody@mx1.example>:\n", "<bob@mx1.example>:\nout of order\n", "<alice-nothing@mx1.example>:\n", "Subject: lost\n"} {
		if !strings.Contains(got[0].Text, part) {
			t.Errorf("the bounce has no %q: %s", part, got[0].Text)
		}
	}
	h.StopSuite()
}
