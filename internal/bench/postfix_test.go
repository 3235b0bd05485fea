package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// postfixTree returns a Debian tree with Postfix in it, made once and kept;
// inside is its name in hosts.
func postfixTree(t *testing.T) (inside string) {
	t.Helper()
	testhost.NeedRoot(t, "debootstrap")
	outside, inside, err := testhost.Shared("peers")
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(outside, "postfix")
	if _, err := os.Stat(filepath.Join(tree, "usr/sbin/smtp-source")); err == nil {
		return filepath.Join(inside, "postfix")
	}
	suite, mirror := debian(t)
	unfinished := tree + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		t.Fatal(err)
	}
	make := exec.Command("debootstrap", "--variant=minbase", "--include=postfix", suite, unfinished, mirror)
	make.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, tail(string(out)))
	}
	if err := os.Rename(unfinished, tree); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(inside, "postfix")
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

var (
	codename = regexp.MustCompile(`(?m)^VERSION_CODENAME=(\S+)$`)
	uris     = regexp.MustCompile(`(?m)^URIs:\s*(\S+)`)
	debLine  = regexp.MustCompile(`(?m)^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)`)
)

// debian returns this machine's Debian release and the mirror it uses.
func debian(t *testing.T) (suite, mirror string) {
	t.Helper()
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	m := codename.FindSubmatch(release)
	if m == nil {
		t.Fatal("/etc/os-release names no release")
	}
	suite = string(m[1])
	// One of the two files exists, in either of the two forms.
	deb822, _ := os.ReadFile("/etc/apt/sources.list.d/debian.sources")
	if m := uris.FindSubmatch(deb822); m != nil {
		return suite, string(m[1])
	}
	list, _ := os.ReadFile("/etc/apt/sources.list")
	for _, m := range debLine.FindAllSubmatch(list, -1) {
		if string(m[2]) == suite {
			return suite, string(m[1])
		}
	}
	t.Fatal("apt knows no Debian mirror")
	return "", ""
}

// mainCF makes Postfix deliver one domain into Maildirs of one user without
// asking anybody, and send the other to the sink. What would slow it down and
// has no counterpart in the suite is off.
const mainCF = `compatibility_level = 3.6
myhostname = postfix.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = /var/log/postfix.log
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtputf8_enable = no
biff = no
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = local.test
virtual_mailbox_base = /mail
virtual_mailbox_maps = inline:{ u0@local.test=u0/Maildir/ }
virtual_minimum_uid = 100
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
transport_maps = inline:{ { remote.test = smtp:[127.0.0.1]:` + sinkPort + ` } }
default_process_limit = 100
in_flow_delay = 0
default_destination_concurrency_limit = 20
initial_destination_concurrency = 10
smtpd_client_connection_count_limit = 0
smtp_connection_cache_on_demand = yes
`

// newPostfix puts the tree on a host's disk, so that queue and mailboxes are
// where those of the suite are, on a journaled ext4 of their own.
func newPostfix(t *testing.T, net *testhost.Network, tree string) *peer {
	t.Helper()
	h := net.Host("postfix.test")
	const root = "/home/postfix"
	h.Must("cp", "-a", tree, root)
	h.WriteFile(root+"/etc/postfix/main.cf", mainCF, 0o644)
	h.WriteFile(root+"/etc/hosts", "127.0.0.1 localhost postfix.test postfix\n", 0o644)
	h.WriteFile(root+"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644)
	h.Must("sed", "-i", `s/^\([a-z]*  *\(inet\|unix\|fifo\)  *[-yn]  *[-yn]  *\)y/\1n/`, root+"/etc/postfix/master.cf")
	h.Must("sh", "-c", "cd "+root+" && mkdir -p proc dev mail/u0/Maildir/tmp mail/u0/Maildir/new mail/u0/Maildir/cur && "+
		"chown -R 5000:5000 mail/u0 && mount -t proc proc proc && mount --bind /dev dev")
	h.Must("chroot", root, "postfix", "set-permissions")
	p := &peer{name: "postfix", host: h, mailbox: root + "/mail/u0/Maildir", sendmail: []string{"chroot", root, "/usr/sbin/sendmail", "-t", "-i"}}
	for _, dir := range []string{"maildrop", "incoming", "active", "deferred"} {
		p.queue = append(p.queue, root+"/var/spool/postfix/"+dir)
	}
	p.start = func() { h.Must("chroot", root, "postfix", "start"); p.awaitGreeting(t, "127.0.0.1:25") }
	p.stop = func() { h.Must("chroot", root, "postfix", "stop") }
	version := h.Must("chroot", root, "postconf", "-h", "mail_version")
	p.name = fmt.Sprintf("postfix %s", strings.TrimSpace(version))
	return p
}
