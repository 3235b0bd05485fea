package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/migrate"
	"postrider/internal/migrate/postfix"
	"postrider/internal/testhost"
)

// movingUsers are the people of the sites of qmail-migrate's tests.
var movingUsers = []string{"alice", "bob", "carol", "lists", "vpopmail"}

// laySite writes the files of such a site into a host. The ids in them are those of
// the host's users.
func laySite(t *testing.T, h *testhost.Host, system string) {
	t.Helper()
	text, err := os.ReadFile("../../qmail-send/migrate/testdata/" + system + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.NewReplacer(
		":alice:1000:1000:", fmt.Sprintf(":alice:%d:%d:", h.UserID("alice"), h.GroupID("alice")),
		":lists:1002:1002:", fmt.Sprintf(":lists:%d:%d:", h.UserID("lists"), h.GroupID("lists")),
		":5000:5000:", fmt.Sprintf(":%d:%d:", h.UserID("vpopmail"), h.GroupID("vpopmail")),
		"virtual_uid_maps = static:5000", fmt.Sprintf("virtual_uid_maps = static:%d", h.UserID("vpopmail")),
		"virtual_gid_maps = static:5000", fmt.Sprintf("virtual_gid_maps = static:%d", h.GroupID("vpopmail")))
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		f := strings.Fields(head)
		name := "/" + f[0]
		h.Must("mkdir", "-p", filepath.Dir(name))
		h.WriteFile(name, ids.Replace(strings.TrimSuffix(body, "\n"))+"\n", 0o644)
		if len(f) > 1 {
			h.Must("chmod", f[1], name)
		}
		if len(f) > 2 {
			h.Chown(name, f[2])
		}
		if filepath.Base(name) == "vpasswd" {
			layVpasswd(t, h, name, body)
		}
	}
	for _, box := range []string{"box.example/box1", "box.example/box2"} {
		maildir(h, "/var/vmail/"+box, "vpopmail")
	}
	h.Must("sh", "-c", "test ! -d /home/vpopmail/domains || chown -R vpopmail: /home/vpopmail/domains")
}

// maildir makes one, as another system has left it.
func maildir(h *testhost.Host, name, user string) {
	h.Must("mkdir", "-p", name+"/tmp", name+"/new", name+"/cur")
	h.Must("chown", "-R", user+":", name)
}

// layVpasswd makes the database of a domain, and the Maildirs of its users.
func layVpasswd(t *testing.T, h *testhost.Host, name, text string) {
	t.Helper()
	path := h.Path(name + ".cdb")
	err := cdb.Replace(path, path+".tmp", 0o600, func(w *cdb.Writer) error {
		for line := range strings.Lines(text) {
			user, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			if f := strings.Split(rest, ":"); len(f) > 4 {
				maildir(h, f[4]+"/Maildir", "vpopmail")
			}
			if err := w.Add([]byte(user), []byte(rest)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// followPage runs the commands of a page of docs, each an indented line, in their
// order. qmail-migrate may say that something has no equivalent; what it says of
// differences is returned.
func followPage(t *testing.T, h *testhost.Host, page string) (compared string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(string(text)) {
		command, is := strings.CutPrefix(line, "    ")
		if !is || strings.Contains(command, "qmail-queuectl") { // that needs the suite to run
			continue
		}
		result, err := h.Run(testhost.Within(t, soon), testhost.Command{
			Argv: []string{"sh", "-ec", command}, Env: []string{"PATH=/var/qmail/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		})
		if err != nil || result.Code != 0 && (result.Code != 1 || !strings.Contains(command, "qmail-migrate")) {
			t.Fatalf("%s: %v, %v", command, err, result)
		}
		if strings.Contains(command, "--compare") {
			compared += result.Stdout
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("%s has %d commands", page, ran)
	}
	return compared
}

// arrivals is where mail for an address is found, by the Maildirs that get it.
type arrivals map[string][]string

// checkArrivals sends a message to each address from another host, and looks where
// it arrives: there and nowhere else. An address without a Maildir is refused.
func checkArrivals(t *testing.T, network *testhost.Network, h *testhost.Host, want arrivals) {
	t.Helper()
	from := network.Host("far.example")
	from.Sink(":25", nil) // what is forwarded goes there
	network.Zone().Address("elsewhere.example", from.IP)
	boxes := map[string]bool{}
	for _, list := range want {
		for _, box := range list {
			boxes[box] = true
		}
	}
	for address, list := range want {
		err := smtp(testhost.Within(t, soon), from, h, "someone@far.example", []string{address}, letter(address, address))
		if (err != nil) != (list == nil) {
			t.Errorf("%s: %v", address, err)
		}
	}
	waitEmpty(t, h)
	got := arrivals{}
	for box := range boxes {
		for _, m := range h.MaildirAt(box).Messages() {
			got[m.Header("Subject")] = append(got[m.Header("Subject")], box)
		}
	}
	for address, list := range want {
		slices.Sort(list)
		slices.Sort(got[address])
		if !slices.Equal(got[address], list) {
			t.Errorf("mail for %s is in %q, want %q", address, got[address], list)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", h.Log().Timed(0))
	}
}

func inHome(users ...string) (boxes []string) {
	for _, u := range users {
		boxes = append(boxes, "/home/"+u+"/Maildir")
	}
	return boxes
}

// A provider's qmail moves by the commands of its page, and mail arrives as before.
func TestQmailMoves(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.provider.example", movingUsers...)
	laySite(t, h, "qmail")
	h.Must("rm", "-f", "/var/qmail/control/smtplisten")
	h.WriteFile("/etc/tcp.smtp", ":allow\n", 0o644) // simscan is not on this host
	maildir(h, "/home/alice/info", "alice")
	maildir(h, "/home/alice/news", "alice")
	maildir(h, "/home/carol/shop", "carol")
	maildir(h, "/home/vpopmail/domains/boxes.example/all/Maildir", "vpopmail")
	for _, name := range []string{"dnsbllist", "spfbehavior", "blacklists"} { // there is no such list here
		h.Must("rm", "-f", "/var/qmail/control/"+name)
	}
	if said := followPage(t, h, "migrate-from-qmail.md"); !strings.Contains(said, " 0 differences\n") {
		t.Errorf("the two do not agree:\n%s", said)
	}
	h.StartSuite()
	const box = "/home/vpopmail/domains/"
	checkArrivals(t, network, h, arrivals{
		"alice@provider.example":                inHome("alice"),
		"root@provider.example":                 inHome("alice"),
		"first.last@provider.example":           inHome("bob"),
		"info@provider.example":                 {"/home/alice/info", "/home/bob/Maildir"},
		"alice-news-x@provider.example":         {"/home/alice/news"},
		"bob-anything@provider.example":         inHome("bob"),
		"bob%provider.example@provider.example": inHome("bob"),
		"sales@shop.example":                    inHome("carol"),
		"other@shop.example":                    {"/home/carol/shop"},
		"joe@box.example":                       {box + "box.example/joe/Maildir"},
		"ann@box.example":                       inHome("alice"),
		"sales@box.example":                     {box + "box.example/joe/Maildir", "/home/alice/Maildir"},
		"zoe@boxes.example":                     {box + "boxes.example/zoe/Maildir"},
		"whoever@boxes.example":                 {box + "boxes.example/all/Maildir"},
		"jim@box.example":                       nil,
		"nobody@box.example":                    nil,
		"nobody@provider.example":               nil,
		"x@sub.wild.example":                    inHome("alice"),
		"boss@one.example":                      inHome("alice"),
	})
	h.StopSuite()
}

// A Postfix moves by the commands of its page, and mail arrives as before. Before,
// Postfix itself is asked what it does, by its own programs.
func TestPostfixMoves(t *testing.T) {
	t.Parallel()
	if found, _ := filepath.Glob(peerPackages + "/postfix_*.deb"); len(found) == 0 {
		t.Skip("SKIPPED for want of Postfix: .ci/run puts it into " + peerPackages)
	}
	network := testhost.NewNetwork(t)
	old := network.Host("mx1.site.example")
	old.AddUsers("postfix", "postdrop")
	old.AddUsers(movingUsers...)
	askPostfix(t, old)

	h := mailHost(t, network, "new.site.example", movingUsers...)
	laySite(t, h, "postfix")
	if said := followPage(t, h, "migrate-from-postfix.md"); !strings.Contains(said, " 0 differences\n") {
		t.Errorf("the two do not agree:\n%s", said)
	}
	for _, name := range []string{"dnsbllist", "milters"} { // they are not on this network
		h.Must("rm", "-f", "/var/qmail/control/"+name)
	}
	h.StartSuite()
	const box = "/var/vmail/box.example/"
	checkArrivals(t, network, h, arrivals{
		"alice@site.example":           inHome("alice"),
		"alice+lists@mx1.site.example": inHome("alice"),
		"root@mx1.site.example":        inHome("alice"),
		"team@site.example":            inHome("alice", "bob", "carol"),
		"orders@site.example":          inHome("carol"),
		"hostmaster@site.example":      inHome("bob"),
		"info@virt.example":            inHome("alice", "bob"),
		"info+x@virt.example":          inHome("alice", "bob"),
		"info@other.example":           inHome("alice", "bob"),
		"boss@other.example":           inHome("bob"),
		"box1@box.example":             {box + "box1", "/home/alice/Maildir"},
		"box2@box.example":             {box + "box2"},
		"box2+x@box.example":           {box + "box2"},
		"postmaster@box.example":       inHome("alice"),
		"nobody@box.example":           nil,
		"nobody@virt.example":          nil,
		"x@elsewhere.example":          nil,
	})
	h.StopSuite()
}

// askPostfix compares what our reader says of Postfix with what Postfix says: for
// parameters postconf(1), for tables postmap(1), for addresses sendmail -bv.
func askPostfix(t *testing.T, old *testhost.Host) {
	t.Helper()
	result, err := old.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", unpackPostfix}})
	if err != nil || result.Code != 0 {
		t.Fatal(err, result)
	}
	laySite(t, old, "postfix")
	old.Must("sh", "-ec", "postfix set-permissions 2>/dev/null || true; postalias hash:/etc/aliases; sed -i '/^smtpd_milters/d' /etc/postfix/main.cf; postfix start")
	defer old.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"postfix", "stop"}})
	tree, err := migrate.OpenTree(old.Path("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	site, judge, err := postfix.Read(tree, postfix.Directory)
	if err != nil {
		t.Fatal(err)
	}
	var locals []string
	for _, l := range strings.FieldsFunc(old.Must("postconf", "-xh", "mydestination"), func(c rune) bool { return strings.ContainsRune(", \n", c) }) {
		locals = append(locals, l)
	}
	if !slices.Equal(site.Hosted, locals) {
		t.Errorf("local domains are %q, and Postfix says %q", site.Hosted, locals)
	}
	var verify []string
	for _, address := range site.Probes {
		if !slices.Contains(verify, address) {
			verify = append(verify, address)
		}
	}
	told := verifiedBy(t, old, judge, verify)
	for _, address := range verify {
		if strings.HasPrefix(address, "list@") {
			continue // what is found of it, owner-list is told
		}
		if got, want := judgedTo(judge.Decide(address)), told[migrate.Lower(address)]; !slices.Equal(got, want) {
			t.Errorf("%s: our reader says %q, and sendmail -bv %q", address, got, want)
		}
	}
}

// judgedTo is an outcome in the words of verifiedBy.
func judgedTo(o migrate.Outcome) (ends []string) {
	for _, end := range o.Ends {
		kind, rest, _ := strings.Cut(end, " ")
		switch kind {
		case "user":
			name, _, _ := strings.Cut(rest, " ")
			ends = append(ends, "mailbox of "+name)
		case "file":
			if name, maildir := strings.CutSuffix(rest, "/"); maildir {
				ends = append(ends, "mailbox of "+filepath.Base(name))
			} else {
				ends = append(ends, "file "+rest)
			}
		case "program":
			ends = append(ends, "program")
		case "remote":
			ends = append(ends, "remote")
		case migrate.Refused:
			ends = append(ends, "refused")
		default:
			ends = append(ends, end)
		}
	}
	slices.Sort(ends)
	return slices.Compact(ends)
}

// report is a recipient in the report of sendmail -bv.
type report struct{ Original, Final, Action, Diagnostic string }

// verifiedBy has Postfix verify addresses, and returns for each where its mail goes.
// Of one that an alias leads to, it says no more than that; the judge, which is asked
// about that one itself as well, does.
func verifiedBy(t *testing.T, old *testhost.Host, judge migrate.Judge, addresses []string) map[string][]string {
	t.Helper()
	old.MustRun(testhost.Command{Argv: append([]string{"/usr/sbin/sendmail", "-bv", "-f", "carol"}, addresses...)})
	text := old.Maildir("carol").Wait(testhost.Within(t, soon), 1)[0].Text
	told := map[string][]string{}
	var all []report
	for _, part := range strings.Split(text, "\n\n") {
		var r report
		for line := range strings.Lines(strings.ReplaceAll(part, "\n    ", " ")) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			_, value2, typed := strings.Cut(value, ";")
			if !typed {
				value2 = value
			}
			switch strings.ToLower(name) {
			case "original-recipient":
				r.Original = migrate.Lower(strings.TrimSpace(value2))
			case "final-recipient":
				r.Final = migrate.Lower(strings.TrimSpace(value2))
			case "action":
				r.Action = value
			case "diagnostic-code":
				r.Diagnostic = strings.TrimSpace(value2)
			}
		}
		if r.Final != "" && r.Action != "" {
			all = append(all, r)
		}
	}
	for _, r := range all {
		to := r.Original
		if to == "" {
			to = r.Final
		}
		if _, next, forwards := strings.Cut(r.Diagnostic, "forwards to "); forwards {
			told[to] = append(told[to], judgedTo(judge.Decide(next))...)
			continue
		}
		told[to] = append(told[to], r.end())
	}
	for _, ends := range told {
		slices.Sort(ends)
	}
	for to, ends := range told {
		told[to] = slices.Compact(ends)
	}
	if len(told) == 0 {
		t.Fatalf("the report has no recipients:\n%s", text)
	}
	t.Logf("%d recipients in the report of Postfix", len(all))
	return told
}

func (r report) end() string {
	local, _, _ := strings.Cut(r.Final, "@")
	name, _, _ := strings.Cut(local, "+")
	switch {
	case strings.Contains(r.Diagnostic, "delivers to maildir") || strings.Contains(r.Diagnostic, "delivers to mailbox"):
		return "mailbox of " + name
	case strings.Contains(r.Diagnostic, "delivers to file: "):
		_, file, _ := strings.Cut(r.Diagnostic, "delivers to file: ")
		return "file " + file
	case strings.Contains(r.Diagnostic, "delivers to command"):
		return "program"
	case strings.Contains(strings.ToLower(r.Diagnostic), "unknown") || strings.Contains(r.Diagnostic, "domain is gone"):
		return migrate.Refused
	}
	return "remote" // which is not on this network
}

// A Sendmail moves by the commands of its page, and mail arrives as before.
func TestSendmailMoves(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mail.old.example", movingUsers...)
	laySite(t, h, "sendmail")
	if said := followPage(t, h, "migrate-from-sendmail.md"); !strings.Contains(said, " 0 differences\n") {
		t.Errorf("the two do not agree:\n%s", said)
	}
	for _, name := range []string{"dnsbllist", "milters", "greetdelay"} { // they are not on this network
		h.Must("rm", "-f", "/var/qmail/control/"+name)
	}
	h.StartSuite()
	checkArrivals(t, network, h, arrivals{
		"alice@old.example":     inHome("alice"),
		"root@mail.old.example": inHome("alice"),
		"alice+x@old.example":   inHome("alice"),
		"info@virt.example":     inHome("alice"),
		"bob@virt.example":      inHome("bob"),
		"webmaster@old.example": inHome("carol"),
		"boss@shop.example":     inHome("bob"),
		"carol@shop.example":    inHome("carol"),
		"nomore@old.example":    nil,
		"x@elsewhere.example":   nil,
	})
	h.StopSuite()
}
