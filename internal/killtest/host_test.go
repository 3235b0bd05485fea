package killtest

import (
	"testing"

	"postrider/internal/testhost"
)

const (
	here = "mx1.example"
	far  = "far.example"
	// password of the user "load" for SMTP.
	password = "kept by qmail-auth"
)

// boxes are the users with Maildirs; the first also gets what is forwarded.
var boxes = []string{"m0", "m1", "m2"}

// newSite makes the host with a user for each kind of delivery, and the hosts
// around it.
func newSite(t *testing.T) *site {
	t.Helper()
	testhost.NeedUsers(t)
	net := testhost.NewNetwork(t)
	h := net.Host(here)
	h.Install()
	h.AddUsers(append([]string{"load", "box", "prog", "fwd", "void"}, boxes...)...)
	h.Control("rcpthosts", here, far)
	h.GiveKey()
	h.GivePassword("plain", "load", password)
	for _, user := range boxes {
		instruct(h, user, "./Maildir/\n")
	}
	instruct(h, "box", "./Mailbox\n")
	h.Must("install", "-d", "-o", "prog", "-g", "prog", "/home/prog/got")
	// The name appears with one rename, as in a Maildir.
	instruct(h, "prog", `|f="$HOME/got/$EXT.$$"; { printf '%s%s' "$RPLINE" "$DTLINE" && cat; } > "$f" && mv "$f" "$f.whole"`+"\n")
	instruct(h, "void", "|echo nobody wants this; exit 100\n")
	for _, address := range forwarded {
		local := address[:len(address)-len("@"+here)]
		own(h, "fwd", ".qmail-"+local[len("fwd-"):], "&"+boxes[0]+"-"+local+"@"+here+"\n")
	}
	next := net.Host(far)
	s := &site{Host: h, sink: next.Sink(":25", nil), scanned: next, unknown: net.Host("unknown.example")}
	s.relay = s.unknown.Sink(":25", nil)
	s.giveServices()
	return s
}

func instruct(h *testhost.Host, user, text string) { own(h, user, ".qmail-default", text) }

func own(h *testhost.Host, user, name, text string) {
	path := "/home/" + user + "/" + name
	h.WriteFile(path, text, 0o600)
	h.Chown(path, user)
}
