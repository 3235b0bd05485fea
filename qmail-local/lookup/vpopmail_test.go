package lookup

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/cdb"
	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/responder"
	"postrider/internal/wire/call"
)

// newDomain is a site with a domain of vpopmail's, whose mail joe has.
func newDomain(t *testing.T, lastWord string) *site {
	t.Helper()
	s := newSite(t)
	s.write("control/locals", "here.example\n")
	s.write("control/virtualdomains", "virt.example:joe-virt\n")
	s.write("control/vpopmail", "/home/vpopmail\n")
	s.lines("| /home/vpopmail/bin/vdelivermail '' " + lastWord + "\n")
	for _, dir := range []string{"full", "room", "forwards", "1/hashed"} {
		if err := os.MkdirAll(s.path("joe/"+dir+"/Maildir"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("joe/full/Maildir/maildirsize", "100S\n120 1\n")
	s.write("joe/room/Maildir/maildirsize", "100S\n120 1\n")
	s.write("joe/forwards/Maildir/maildirsize", "100S\n120 1\n")
	s.write("joe/forwards/.qmail", "&jim@elsewhere.example\n")
	s.users("full::1:0::HOME/full:", "room::1:0::HOME/room:1000S", "none::1:0::HOME/room:NOQUOTA", "less::1:0::HOME/full:50S",
		"forwards::1:0::HOME/forwards:", "closed::1:16::HOME/room:", "away::1:0::HOME/away:10S", "hashed::1:0::HOME/1/hashed:10S", "bad::1:0::HOME/room:much")
	return s
}

// lines makes the default instructions of the domain.
func (s *site) lines(text string) { s.write("joe/.qmail-virt-default", text) }

func (s *site) users(lines ...string) {
	s.t.Helper()
	err := cdb.Replace(s.path("joe/vpasswd.cdb"), s.path("joe/vpasswd.tmp"), 0o644, func(w *cdb.Writer) error {
		for _, line := range lines {
			name, data, _ := strings.Cut(strings.ReplaceAll(line, "HOME", s.path("joe")), ":")
			if err := w.Add([]byte("virt-"+name), []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) virtual(names ...string) string {
	s.t.Helper()
	for i, name := range names {
		names[i] = name + "@virt.example"
	}
	return s.find(names...)
}

func TestVpopmail(t *testing.T) {
	t.Parallel()
	s := newDomain(t, "bounce-no-mailbox")
	everybody := func() string {
		return s.virtual("full", "FULL", "room", "none", "less", "forwards", "closed", "away", "hashed", "bad", "nobody", "room-x")
	}
	if got := everybody(); got != "FFYYFYNYYTNN" {
		t.Errorf("bounce-no-mailbox: %s", got)
	}
	s.write("control/vpopmail", "/home/vpopmail qmail-ext\n")
	s.f.clock = &movedClock{clock.Real(), time.Now().Add(control.Recheck)} // a moment later
	if got := s.virtual("room-x", "nobody-x", "full-x"); got != "YNF" {
		t.Errorf("extensions: %s", got)
	}
	for _, word := range []string{"delete", "jim@elsewhere.example", s.path("joe/room")} {
		s.lines("| /home/vpopmail/bin/vdelivermail '' " + word + "\n")
		if got := s.virtual("nobody", "closed", "full"); got != "YNF" {
			t.Errorf("%s: %s", word, got)
		}
	}
	s.write("control/overquota", "defer\n")
	if got := s.virtual("full"); got != "Y" {
		t.Errorf("a full mailbox that is waited for: %s", got)
	}
}

// Nothing is known where the program itself would run, or another one before.
func TestVpopmailIsNotKnown(t *testing.T) {
	t.Parallel()
	const line = "| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n"
	for name, text := range map[string]string{
		"another program first":  "|true\n" + line,
		"another program behind": line + "|true\n",
		"a forward":              "&jim\n" + line,
		"another directory":      strings.ReplaceAll(line, "/home", "/opt"),
		"what a shell does":      "|exec /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n",
	} {
		s := newDomain(t, "bounce-no-mailbox")
		s.lines(text)
		if got := s.virtual("nobody", "room"); got != "YY" {
			t.Errorf("%s: %s", name, got)
		}
	}
	s := newDomain(t, "bounce-no-mailbox")
	s.lines("# of ours\n" + line)
	if got := s.virtual("nobody", "room"); got != "NY" {
		t.Errorf("a comment: %s", got)
	}
	for name, change := range map[string]struct {
		do   func() error
		want string
	}{
		"a damaged database": {func() error { return os.WriteFile(s.path("joe/vpasswd.cdb"), []byte("x"), 0o644) }, "TT"},
		"no database":        {func() error { return os.Remove(s.path("joe/vpasswd.cdb")) }, "YY"},
		"a broken setting":   {func() error { return os.WriteFile(s.path("control/vpopmail"), []byte("vpopmail\n"), 0o644) }, "TT"},
		"no setting":         {func() error { return os.Remove(s.path("control/vpopmail")) }, "YY"},
	} {
		s = newDomain(t, "bounce-no-mailbox")
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		if got := s.virtual("nobody", "room"); got != change.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What the user of the domains alone may read is asked of who runs as him.
func TestVlookup(t *testing.T) {
	t.Parallel()
	s, keeper := newDomain(t, "bounce-no-mailbox"), newDomain(t, "bounce-no-mailbox")
	s.f.domains = &domains{uid: uint32(max(1000, os.Getuid())), link: call.NewClient("qmail-vlookup")}
	if got := s.virtual("room"); got != "T" {
		t.Errorf("without a link: %s", got)
	}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.f.domains.link.Relink(ours); err != nil {
		t.Fatal(err)
	}
	go responder.New(domainsProgram, clock.Real(), keeper.log).Respond(theirs, "qmail-lookup", atOnce, keeper.f.answerHome)
	s.users("room::1:0::HOME/room:1000S", "full::1:0::HOME/full:")
	if got := s.virtual("room", "full", "nobody"); got != "YFN" {
		t.Errorf("asked: %s", got)
	}
	s.write("control/overquota", "defer\n")
	if got := s.virtual("full"); got != "Y" {
		t.Errorf("a full mailbox that is waited for: %s", got)
	}
	if err := os.WriteFile(s.path("joe/vpasswd.cdb"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.virtual("room"); got != "T" || len(s.said) == 0 {
		t.Errorf("trouble: %s %q", got, s.said)
	}
	s.f.domains.uid++
	if err := os.Remove(s.path("joe/vpasswd.cdb")); err != nil {
		t.Fatal(err)
	}
	if got := s.virtual("room"); got != "Y" {
		t.Errorf("another user's home: %s", got)
	}
}
