package scenario

import (
	"strconv"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

const (
	pageHost   = "mail.example.org"
	pageDomain = "example.org"
)

// shownOnPage are the beginnings of those blocks of docs/operations.md that nobody
// types: what programs write, and what files have in them.
var shownOnPage = []string{
	"make                     #",                               // TestMakeInstall types these
	"/var/qmail/bin/qmail-start ",                              // any test does, with arguments that there are
	"exec env - PATH=/var/qmail/bin:/usr/bin:/bin QMAILREMOTE", // TestRemoteProgram has it
	"qmail-start: ", "warning: /var/qmail/queue/new", "delivery 7: ", "qmail-mtasts: ", "qmail-tlsrpt: ", "qmail-smtpd: ",
	"destination mx.example.org", "down       210 waiting", "Received-SPF: ",
	"+lmtp unix", "protocol lmtp {", "|/usr/lib/dovecot", "+list.dnswl.org", "failregex = ", ":allow,QMAILQUEUE", "#!/bin/sh",
}

// TestOperationsPage types the commands of docs/operations.md one block after the
// other, as root of a host that has the names of the page, with mail that waits.
// After each one qmail-showctl finds no error, and what it has changed is taken back.
func TestOperationsPage(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	shown := map[string]bool{}
	typed := 0
blocks:
	for _, block := range commandBlocks(t, "../../docs/operations.md") {
		for _, begin := range shownOnPage {
			if strings.HasPrefix(block, begin) {
				shown[begin] = true
				continue blocks
			}
		}
		typed++
		p.try(t, block)
	}
	for _, begin := range shownOnPage {
		if !shown[begin] {
			t.Errorf("the page has no block %q", begin)
		}
	}
	if typed < 30 {
		t.Errorf("%d blocks were typed", typed)
	}
	p.StopSuite()
}

// page is the host that the page speaks of.
type page struct {
	*testhost.Host
	running bool
}

func newPage(t *testing.T) *page {
	t.Helper()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, pageHost, "joe", "vpopmail")
	zone := network.Zone()
	zone.MX(pageDomain, 10, pageHost)
	zone.Add(pageDomain+`. TXT "v=spf1 mx -all"`, "s2026._domainkey."+pageDomain+`. TXT "v=DKIM1; p="`, "_dmarc."+pageDomain+`. TXT "v=DMARC1; p=none"`)
	for _, domain := range []string{"slow.example", "old.example", "gone.example"} {
		zone.MX(domain, 10, "mx.nowhere.example")
	}
	network.Host("mx.nowhere.example") // nobody listens there
	others := network.Host("mx.example.net")
	others.Sink(":25", nil)
	for _, domain := range []string{"example.net", "example.com"} {
		zone.MX(domain, 10, others.Name)
	}
	copyTree(t, h, "../../contrib", "/tmp/source/contrib")
	h.Must("sh", "-ec", `rm -rf /home/joe/Maildir; mkdir -p /etc/skel /var/log/qmail
cd /tmp/source; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=`+pageHost+` -addext subjectAltName=DNS:`+pageHost+` -keyout key.pem -out fullchain.pem`)
	return &page{Host: h}
}

// try types a block. What belongs to the first hour stays; then the suite runs.
func (p *page) try(t *testing.T, block string) {
	t.Helper()
	if strings.Contains(block, "sendmail joe") {
		p.Must("sh", "-ec", "cat /tmp/source/key.pem /tmp/source/fullchain.pem >"+testhost.CertFile+"; chmod 600 "+testhost.CertFile+"; printf 'x\n' | qmail-authpw joe@example.org")
		p.StartSuite()
		p.running = true
		sendmail(p.Host, "joe", []string{"joe@" + pageDomain}, letter("joe", "early"))
	}
	if !p.running {
		p.do(t, block)
		return
	}
	// What a machine that has run for a while has, or lacks.
	p.WriteFile("/var/log/qmail/current", p.Log().Text(0), 0o644)
	if strings.Contains(block, "maildirmake /home/joe") {
		p.Must("rm", "-rf", "/home/joe/Maildir")
	}
	p.Must("sh", "-ec", "rm -rf /tmp/kept; cp -a /var/qmail/control /tmp/kept")
	if strings.Contains(block, "qmail-queuectl") {
		// Each of them has messages to do it with.
		for line := range strings.Lines(block) {
			p.do(t, p.withMessage(line))
		}
	} else {
		p.do(t, block)
	}
	if strings.Contains(block, "sendmail joe") {
		p.Maildir("joe").Wait(testhost.Within(t, soon), 2) // the first one, and the early one
	}
	if result, err := p.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"qmail-showctl", "--check", "--no-dns"}}); err != nil || result.Code != 0 {
		t.Errorf("after\n%s: %v, %v", block, err, result)
	}
	// The directory stays: daemons are held to it.
	p.Must("sh", "-ec", "find /var/qmail/control -mindepth 1 -delete; cp -a /tmp/kept/. /var/qmail/control/")
}

// withMessage queues messages that the commands about the queue name, and returns
// a command about one of them.
func (p *page) withMessage(line string) string {
	first := p.Log().Len()
	for _, m := range [][2]string{{"spam@example.org", "x@slow.example"}, {"ann@example.org", "joe@old.example"}, {"ann@example.org", "x@gone.example"}} {
		sendmail(p.Host, "root", []string{"-f", m[0], m[1]}, letter(m[1], "waits"))
	}
	id := p.WaitForLog(first, `^info msg (\d+): bytes \d+ from <ann@`)[1]
	return strings.ReplaceAll(line, " ID", " "+id)
}

// do types commands, with the names that this host has for those of the page.
func (p *page) do(t *testing.T, commands string) {
	t.Helper()
	replace := []string{
		"make && make install && make setup", ": ", // TestMakeInstall types it
		"vi ", "touch ",
		"strace -f -e status=failed -p PID", "timeout -s INT 1 strace -f -e status=failed -p " + p.pid() + " || [ $? = 124 ]",
		"192.0.2.25:9925", p.IP.String() + ":9925",
		"curl http", "curl -s --retry 30 --retry-connrefused http", // as soon as it listens
		"FILE", "/tmp/exported",
		"PID", p.pid(),
	}
	result, err := p.Run(testhost.Within(t, soon), testhost.Command{
		Argv: []string{"sh", "-ec", strings.NewReplacer(replace...).Replace(commands)},
		Dir:  "/tmp/source", Env: []string{"password=secret"},
	})
	if err != nil || result.Code != 0 {
		t.Errorf("%v, %v\nof\n%s", err, result, commands)
	}
}

// pid is the process of qmail-start, while there is one.
func (p *page) pid() string {
	if !p.running {
		return ""
	}
	return strconv.Itoa(p.Suite().PID)
}
