package bench

// eximConf makes Exim deliver and relay as mainCF does with Postfix.
const eximConf = `primary_hostname = bench.test
domainlist local_domains = local.test
disable_ipv6 = true
daemon_smtp_ports = 25
local_interfaces = 127.0.0.1
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
host_lookup =
dns_dnssec_ok = 0
rfc1413_hosts =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
chunking_advertise_hosts =
smtp_accept_max = 2000
smtp_accept_max_per_host = 0
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_reserve = 0
smtp_connect_backlog = 200
queue_run_max = 4
remote_max_parallel = 4
recipients_max = 0
message_size_limit = 100M
keep_environment =
message_logs = false
split_spool_directory = true
never_users = root
trusted_users = root
accept_8bitmime = true
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept hosts = 127.0.0.1
  accept domains = +local_domains
  deny
begin routers
dead:
  driver = manualroute
  domains = dead.test
  transport = smtp
  route_list = * 127.0.0.3
  self = send
remote:
  driver = manualroute
  domains = ! +local_domains
  transport = smtp
  route_list = * 127.0.0.2
  self = send
local:
  driver = accept
  local_parts = dsearch;/srv/mail
  transport = maildir
begin transports
smtp:
  driver = smtp
  port = 2526
  allow_localhost = true
  hosts_try_chunking =
  hosts_avoid_tls = *
  connection_max_messages = 500
maildir:
  driver = appendfile
  directory = /srv/mail/$local_part_data/Maildir
  maildir_format
  create_directory = false
  maildir_tag =
  user = vmail
  group = vmail
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
`

func newExim(y *yard, _ int) (*peer, error) {
	inside, err := tree(y.t, "exim", "exim4-daemon-light")
	if err != nil {
		return nil, err
	}
	root, err := y.plant("exim", inside)
	if err != nil {
		return nil, err
	}
	y.host.WriteFile(root+"/etc/exim4/exim4.conf", eximConf, 0o644)
	if err := y.run("chroot", root, "install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", "/run/exim4"); err != nil {
		return nil, err
	}
	p := &peer{
		name: exim, version: y.version(root, "exim4-daemon-light"), syncs: true, root: root,
		daemons:  [][]string{{"exim4", "-bd", "-q30m"}},
		queue:    dirs(root, "/var/spool/exim4/input"),
		waste:    dirs(root+"/var/", "spool/exim4/msglog spool/exim4/db log/exim4"),
		sendmail: []string{"/usr/sbin/sendmail", "-t", "-i"},
		// One message a connection: it waits up to 200 ms in QUIT for the
		// client to close first.
		sessions: 60,
		// It is several times slower than the others, and nobody waits that long.
		share: 10,
	}
	return p.defaults(y), nil
}
