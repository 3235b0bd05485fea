package bench

import (
	"fmt"
	"strings"
)

// mainCF makes Postfix deliver one domain into Maildirs of one user without
// asking anybody, and send others to the sink. What would slow it down and
// has no counterpart in the suite is off.
const mainCF = `compatibility_level = 3.6
myhostname = bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = /var/log/postfix/mail.log
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtputf8_enable = no
biff = no
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = 104857600
virtual_mailbox_limit = 0
mailbox_size_limit = 0
virtual_mailbox_domains = local.test
virtual_mailbox_base = /srv/mail
virtual_mailbox_maps = hash:/etc/postfix/mailboxes
virtual_minimum_uid = 100
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
transport_maps = inline:{ { remote.test = smtp:[127.0.0.2]:2526 }, { .remote.test = smtp:[127.0.0.2]:2526 }, { dead.test = smtp:[127.0.0.3]:2526 }, FANNED }
default_process_limit = 100
in_flow_delay = 0
default_destination_concurrency_limit = 20
initial_destination_concurrency = 10
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 2000
smtpd_recipient_overshoot_limit = 2000
smtp_connection_cache_on_demand = yes
`

// newPostfix also brings the load generator and the sink.
func newPostfix(y *yard, n plan) (*peer, error) {
	inside, err := tree(y.t, "postfix", "postfix")
	if err != nil {
		return nil, err
	}
	root, err := y.plant("postfix", inside)
	if err != nil {
		return nil, err
	}
	y.tools = root
	y.host.WriteFile(root+"/etc/postfix/main.cf", strings.Replace(mainCF, "FANNED", fanTransports(), 1), 0o644)
	var boxes strings.Builder
	for i := range n.mailboxes {
		fmt.Fprintf(&boxes, "%s u%d/Maildir/\n", mailUser(i), i)
	}
	y.host.WriteFile(root+"/etc/postfix/mailboxes", boxes.String(), 0o644)
	for _, argv := range [][]string{
		// No service in a chroot of its own: it would need a copy of /etc.
		{"sed", "-i", `s/^\([a-z]*  *\(inet\|unix\|fifo\)  *[-yn]  *[-yn]  *\)y/\1n/`, root + "/etc/postfix/master.cf"},
		{"chroot", root, "postmap", "hash:/etc/postfix/mailboxes"},
		{"mkdir", "-p", root + "/var/log/postfix"},
	} {
		if err := y.run(argv...); err != nil {
			return nil, err
		}
	}
	p := &peer{
		name: postfix, version: y.version(root, "postfix"), syncs: true, root: root, fans: true, scheduler: "qmgr",
		daemons:  [][]string{{"postfix", "start"}},
		queue:    dirs(root+"/var/spool/postfix/", "maildrop incoming active deferred"),
		waste:    append(dirs(root+"/var/spool/postfix/", "defer bounce hold corrupt trace"), root+"/var/log/postfix"),
		sendmail: []string{"/usr/sbin/sendmail", "-t", "-i"},
	}
	return p.defaults(y), nil
}
