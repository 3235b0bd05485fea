package bench

import (
	"fmt"
	"net/netip"
	"strings"
)

// chasquidConf lets safecat write the Maildirs: a program for each recipient,
// since chasquid delivers by programs only.
const chasquidConf = `hostname: "bench.test"
max_data_size_mb: 100
smtp_address: "127.0.0.1:25"
submission_address: "127.0.0.1:587"
submission_over_tls_address: "127.0.0.1:465"
mail_delivery_agent_bin: "/usr/bin/safecat"
mail_delivery_agent_args: "/srv/mail/%to_user%/Maildir/tmp"
mail_delivery_agent_args: "/srv/mail/%to_user%/Maildir/new"
data_dir: "/var/lib/chasquid"
mail_log_path: "/var/log/chasquid/mail.log"
suffix_separators: "+"
drop_characters: "."
`

// newChasquid: it has neither static routes nor relaying without a password.
// Mail to the sink goes through aliases, and the network's zone has the MX.
func newChasquid(y *yard, mailboxes int) (*peer, error) {
	inside, err := tree(y.t, "chasquid", "chasquid", "safecat", "openssl")
	if err != nil {
		return nil, err
	}
	root, err := y.plant("chasquid", inside)
	if err != nil {
		return nil, err
	}
	etc := root + "/etc/chasquid"
	var users, all, far strings.Builder
	for i := range mailboxes {
		// Only that a user exists is looked at.
		fmt.Fprintf(&users, "users: { key: \"u%d\" value: { plain: { password: \"x\" } } }\n", i)
		fmt.Fprintf(&all, ",%s", mailUser(i))
		fmt.Fprintf(&far, ",%s", farUser(i))
	}
	y.host.WriteFile(etc+"/chasquid.conf", chasquidConf, 0o644)
	y.host.WriteFile(etc+"/domains/local.test/users", users.String(), 0o644)
	y.host.WriteFile(etc+"/domains/local.test/aliases", fmt.Sprintf("out: x@remote.test\ndead: x@dead.test\nall: %s\nallremote: %s\n",
		all.String()[1:], far.String()[1:]), 0o644)
	y.host.WriteFile(root+"/etc/resolv.conf", "nameserver 10.77.0.1\n", 0o644)
	y.farZone()
	const cert = `mkdir -p certs/local.test /var/log/chasquid /var/lib/chasquid && rm -f hooks/* &&
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=bench.test -addext subjectAltName=DNS:bench.test \
	-keyout certs/local.test/privkey.pem -out certs/local.test/fullchain.pem &&
chown -R vmail:vmail . /var/log/chasquid /var/lib/chasquid`
	// The hooks are Debian's: four programs for each message.
	if err := y.run("chroot", root, "sh", "-c", "cd /etc/chasquid && "+cert); err != nil {
		return nil, err
	}
	// It has no root to bind its port with. Only this host's ports are meant.
	if err := y.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(sinkServer, ":")
	p := &peer{
		name: chasquid, version: y.version(root, "chasquid"), root: root,
		daemons: [][]string{{"setpriv", "--reuid", "vmail", "--regid", "vmail", "--clear-groups",
			"chasquid", "-testing__outgoing_smtp_port=" + port, "-logfile=/var/log/chasquid/daemon.log"}},
		queue:    dirs(root, "/var/lib/chasquid/queue"),
		waste:    dirs(root, "/var/log/chasquid /var/lib/chasquid/domaininfo"),
		relayTo:  "out@local.test",
		deadTo:   "dead@local.test",
		localAll: "all@local.test", // it takes 100 recipients a message
		farAll:   "allremote@local.test",
		backlog:  200, // it refuses more
	}
	return p.defaults(y), nil
}

// farDomains is how many domains the recipients of one large message are in.
const farDomains = 10

// farUser is a recipient that is relayed to the sink.
func farUser(i int) string { return fmt.Sprintf("x%d@r%d.remote.test", i, i%farDomains) }

// farUsers are the first n.
func farUsers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = farUser(i)
	}
	return list
}

// farZone leads to the sink, for who cannot do without the DNS.
func (y *yard) farZone() {
	zone := y.net.Zone()
	zone.Address("host.sink.test", netip.MustParseAddrPort(sinkServer).Addr())
	zone.Address("host.dead.test", netip.MustParseAddrPort(deadServer).Addr())
	zone.MX("remote.test", 10, "host.sink.test")
	zone.MX("dead.test", 10, "host.dead.test")
	for i := range farDomains {
		zone.MX(fmt.Sprintf("r%d.remote.test", i), 10, "host.sink.test")
	}
}
