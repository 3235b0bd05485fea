package scenario

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/testhost"
)

const (
	vpopmailDir = "/home/vpopmail"
	vdomain     = "virt.example"
	vdomainDir  = vpopmailDir + "/domains/" + vdomain
)

// vdelivermail stands for the program: it delivers to who has a directory.
const vdelivermail = `#!/bin/sh
[ $# = 2 ] && [ "$1" = "" ] || exit 111
if [ -d "$HOME/$EXT" ]; then
  name=$(date +%s).$$.program
  { printf %s "$RPLINE$DTLINE"; cat; } > "$HOME/$EXT/Maildir/tmp/$name"
  mv "$HOME/$EXT/Maildir/tmp/$name" "$HOME/$EXT/Maildir/new/$name"
  exit 0
fi
[ "$2" = bounce-no-mailbox ] && { echo "Sorry, no mailbox here by that name. (#5.1.1)"; exit 100; }
exit 0
`

// vpopmailHost has a domain as vpopmail makes it, which nobody but the user
// vpopmail may look into, with some users.
func vpopmailHost(t *testing.T, users ...string) *testhost.Host {
	t.Helper()
	return vpopmailHostOn(t, testhost.NewNetwork(t), users...)
}

func vpopmailHostOn(t *testing.T, net *testhost.Network, users ...string) *testhost.Host {
	t.Helper()
	h := mailHost(t, net, "mx1.example", "alice", "vpopmail")
	h.Control("rcpthosts", "mx1.example", vdomain)
	h.Control("maxbadrcpt", "0") // tests ask for many who are not there
	h.Control("virtualdomains", vdomain+":"+vdomain)
	h.Must("mkdir", "-p", vdomainDir, vpopmailDir+"/bin")
	h.WriteFile(vpopmailDir+"/bin/vdelivermail", vdelivermail, 0o755)
	h.WriteFile(vdomainDir+"/.qmail-default", "| "+vpopmailDir+"/bin/vdelivermail '' bounce-no-mailbox\n", 0o600)
	var lines []string
	for _, user := range users {
		lines = append(lines, vpasswdLine(user))
		h.Must("mkdir", "-p", vdomainDir+"/"+user+"/Maildir/tmp", vdomainDir+"/"+user+"/Maildir/new", vdomainDir+"/"+user+"/Maildir/cur")
	}
	writeVpasswd(h, lines)
	closeTree(h)
	h.WriteFile("/var/qmail/users/assign", fmt.Sprintf("+%s-:%s:%d:%d:%s:-::\n.\n", vdomain, vdomain, h.UserID("vpopmail"), h.GroupID("vpopmail"), vdomainDir), 0o644)
	h.Must("/var/qmail/bin/qmail-newu")
	return h
}

func closeTree(h *testhost.Host) {
	h.Must("chown", "-R", "vpopmail:vpopmail", vpopmailDir+"/domains")
	h.Must("chmod", "-R", "go-rwx", vpopmailDir+"/domains")
}

func vpasswdLine(user string) string {
	return user + ":$1$x$y:1:0:" + user + ":" + vdomainDir + "/" + user + ":NOQUOTA"
}

// writeVpasswd replaces the database by a rename, as vpopmail does.
func writeVpasswd(h *testhost.Host, lines []string) {
	path := h.Path(vdomainDir + "/vpasswd.cdb")
	err := cdb.Replace(path, filepath.Join(filepath.Dir(path), "vpasswd.tmp"), 0o600, func(w *cdb.Writer) error {
		for _, line := range lines {
			name, data, _ := strings.Cut(line, ":")
			if err := w.Add([]byte(name), []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		panic(err) // the test's own files
	}
	h.Chown(vdomainDir+"/vpasswd.cdb", "vpopmail")
}

// inDomain returns the messages of a user of the domain.
func inDomain(h *testhost.Host, user string) []testhost.Message {
	return h.MaildirAt(vdomainDir + "/" + user + "/Maildir").Messages()
}

// A tree of vpopmail delivers as it is, by its own program.
func TestVpopmailByItsProgram(t *testing.T) {
	t.Parallel()
	h := vpopmailHost(t, "joe")
	h.StartSuite()
	sendmail(h, "alice", []string{"joe@" + vdomain}, letter("joe", "m"))
	sendmail(h, "alice", []string{"nobody@" + vdomain}, letter("nobody", "n"))
	waitEmpty(t, h)
	if got := inDomain(h, "joe"); len(got) != 1 || got[0].Header("Subject") != "m" {
		t.Errorf("joe has %v\n%s", got, h.Log().Timed(0))
	}
	h.WaitForLog(0, `^delivery \d+: success: did_0\+0\+1/`)
	h.WaitForLog(0, `^delivery \d+: failure: Sorry,_no_mailbox_here_by_that_name\._\(#5\.1\.1\)/`)
	h.StopSuite()
}

// With control/vpopmail no program runs, and qmail-smtpd knows who has a mailbox,
// though the domain is closed to everybody but its user.
func TestVpopmail(t *testing.T) {
	t.Parallel()
	h := vpopmailHost(t, "joe", "jim", "full", "closed")
	h.Control("vpopmail", vpopmailDir+" qmail-ext")
	h.Control("vpopmailuser", "vpopmail")
	h.Must("rm", vpopmailDir+"/bin/vdelivermail") // so that nobody runs it
	lines := []string{vpasswdLine("joe"), vpasswdLine("jim"),
		strings.Replace(vpasswdLine("full"), "NOQUOTA", "1000S,1C", 1), strings.Replace(vpasswdLine("closed"), ":1:0:", ":1:16:", 1)}
	writeVpasswd(h, lines)
	h.WriteFile(vdomainDir+"/.qmail-sales", "&joe@"+vdomain+"\n", 0o600)
	h.WriteFile(vdomainDir+"/jim/.qmail", "&alice@mx1.example\n./Maildir/\n|id -un > who\n", 0o600)
	h.WriteFile(vdomainDir+"/full/Maildir/new/1,S=10", "Subject: 1\n\n", 0o600)
	h.WriteFile(vdomainDir+"/full/Maildir/maildirsize", "1000S,1C\n10 1\n", 0o600)
	closeTree(h)
	h.StartSuite()
	c := session(t, h)
	for _, v := range []verified{
		{"joe@" + vdomain, 250, "", "success: did_1+0+0/"},
		{"JOE-x@" + vdomain, 250, "", "success: did_1+0+0/"},
		{"jim@" + vdomain, 250, "", "success: did_1+1+1/"},
		{"sales@" + vdomain, 250, "", "success: did_0+1+0/"},
		{"nobody@" + vdomain, 550, "", "failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/"},
		{"closed@" + vdomain, 550, "", "failure: Sorry,_this_mailbox_is_closed._(#5.2.1)/"},
		{"full@" + vdomain, 552, "", "failure: Sorry,_the_mailbox_is_full._(#5.2.2)/"},
	} {
		if got := rcptCode(t, c, v.address); got != v.code {
			t.Errorf("%s: %d, want %d", v.address, got, v.code)
		}
		first := h.Log().Len()
		sendmail(h, "root", []string{"-f", "s@else.example", v.address}, letter(v.address, v.address))
		number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to local `+vdomain+`-(?i:`+v.address+`)`)[1]
		if got := h.WaitForLog(first, `^delivery `+number+`: (.*)$`)[1]; !strings.HasPrefix(got, v.outcome) {
			t.Errorf("%s: %s, want %s", v.address, got, v.outcome)
		}
	}
	waitEmpty(t, h)
	if got := inDomain(h, "joe"); len(got) != 3 || got[0].Header("Delivered-To") != "joe@"+vdomain {
		t.Errorf("joe has %v\n%s", got, h.Log().Timed(0))
	}
	if got := h.Maildir("alice").Count(); got != 1 {
		t.Errorf("alice has %d messages", got)
	}
	if got := h.ReadFile(vdomainDir + "/jim/who"); got != "vpopmail\n" {
		t.Errorf("jim's program ran as %s", got)
	}
	if got := strings.TrimSpace(h.Must("sh", "-c", "stat -c %U "+vdomainDir+"/joe/Maildir/new/* | sort -u")); got != "vpopmail" {
		t.Errorf("messages belong to %s", got)
	}
	vlookupAway(t, h, c)
	h.StopSuite()
}

// vlookupAway has mail wait while qmail-vlookup is not there, and taken after.
func vlookupAway(t *testing.T, h *testhost.Host, c *testhost.Client) {
	t.Helper()
	stop(t, h, "qmail-vlookup")
	if got := rcptCode(t, c, "nobody@"+vdomain); got != 451 {
		t.Errorf("while qmail-vlookup is stopped: %d", got)
	}
	if got := rcptCode(t, c, "alice@mx1.example"); got != 250 {
		t.Errorf("another's mailbox meanwhile: %d", got)
	}
	first := h.Log().Len()
	h.Kill("qmail-vlookup", syscall.SIGKILL)
	h.WaitForLog(first, `^qmail-start: qmail-vlookup started`)
	for i := 0; ; i++ { // qmail-lookup may not have its link yet
		code := rcptCode(t, c, "joe@"+vdomain)
		if code == 250 {
			return
		}
		if code != 451 || i == 1000 {
			t.Fatalf("after qmail-vlookup has died: %d", code)
		}
	}
}

// A user that is added is there at once, while mail for others goes on, and
// nobody is missing while the database is being replaced.
func TestVpopmailGrows(t *testing.T) {
	t.Parallel()
	const added = 20
	h := vpopmailHost(t, "joe")
	h.Control("vpopmail", vpopmailDir)
	h.Control("vpopmailuser", "vpopmail")
	h.Must("rm", vpopmailDir+"/bin/vdelivermail")
	h.StartSuite()
	c := session(t, h)
	lines := []string{vpasswdLine("joe")}
	for i := range added {
		name := fmt.Sprint("new", i)
		if got := rcptCode(t, c, name+"@"+vdomain); got != 550 {
			t.Errorf("%s before he is there: %d", name, got)
		}
		dir := vdomainDir + "/" + name
		h.Must("sh", "-ec", "for d in tmp new cur; do install -d -o vpopmail -g vpopmail -m 700 "+dir+"/Maildir/$d; done; chown -R vpopmail:vpopmail "+dir)
		lines = append(lines, vpasswdLine(name))
		writeVpasswd(h, lines)
		for _, to := range []string{name, "joe"} {
			if got := rcptCode(t, c, to+"@"+vdomain); got != 250 {
				t.Errorf("%s: %d", to, got)
			}
		}
		sendmail(h, "alice", []string{name + "@" + vdomain, "joe@" + vdomain}, letter(name, name))
	}
	waitEmpty(t, h)
	if got := len(inDomain(h, "joe")); got != added {
		t.Errorf("joe has %d messages, want %d\n%s", got, added, h.Log().Timed(0))
	}
	for i := range added {
		if got := len(inDomain(h, fmt.Sprint("new", i))); got != 1 {
			t.Errorf("new%d has %d messages", i, got)
		}
	}
	if n := count(h, 0, "deferral: ") + count(h, 0, "failure: "); n != 0 {
		t.Errorf("%d deliveries were put off or failed\n%s", n, h.Log().Timed(0))
	}
	h.StopSuite()
}
