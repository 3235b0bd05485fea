package postfix

import (
	"postrider/internal/migrate"
)

// parameter is what becomes of one of Postfix.
type parameter struct {
	name string
	// file is the control file that has it, or nothing.
	file string
	// kind is what a remark says about it, unless take does.
	kind migrate.Kind
	text string
	take func(r *reader, s setting, value string) // nil: the text says it all
}

// parameters are those that are known, as docs/migrate-from-postfix.md has them.
// The order is that in which they are read.
var parameters = []parameter{
	{"myhostname", "me", migrate.Carried, "the name of the host", nil},
	{"mydomain", "defaultdomain", migrate.Carried, "what is added to a host name without a dot", line},
	{"myorigin", "defaulthost", migrate.Carried, "the domain of an address without one; it is that of envelope recipients (envnoathost), too", origin},
	{"mydestination", "locals", migrate.Carried, "the domains whose local parts are users and aliases", nil},
	{"inet_interfaces", "smtplisten", migrate.Carried, "where mail is taken", nil},
	{"inet_protocols", "", migrate.Decided, "both families are used", nil},
	{"mynetworks", "tcp.smtp", migrate.Carried, "networks that may relay, with RELAYCLIENT", nil},
	{"mynetworks_style", "tcp.smtp", migrate.Decided, "without mynetworks only this host may relay: add networks to control/tcp.smtp", nil},
	{"relay_domains", "rcpthosts", migrate.Carried, "domains for which mail is taken and passed on, with those below them", nil},
	{"relay_recipient_maps", "", migrate.Lost, "mail for every address of relayed domains is taken; the next host refuses, and qmail-send bounces", nil},
	{"relayhost", "smtproutes", migrate.Carried, "the relay for all other domains", nil},
	{"transport_maps", "smtproutes", migrate.Carried, "routes; LMTP in lmtproutes", nil},
	{"sender_dependent_relayhost_maps", "authsenders", migrate.Carried, "routes by sender", nil},
	{"sender_dependent_default_transport_maps", "", migrate.Lost, "a sender has a route (control/authsenders), and no transport", nil},
	{"default_transport", "smtproutes", migrate.Carried, "how mail goes out", nil},
	{"relay_transport", "", migrate.Decided, "relayed domains go as others do", nil},
	{"local_transport", "", migrate.Decided, "local domains are delivered by qmail-local", nil},
	{"fallback_relay", "", migrate.Lost, "smtp_fallback_relay: a second relay for mail that cannot be delivered", nil},
	{"smtp_fallback_relay", "", migrate.Lost, "there is no second relay: give the relay's name several addresses in the DNS", nil},
	{"virtual_alias_maps", "virtualdomains", migrate.Carried, "addresses that lead elsewhere, as .qmail files of alias", nil},
	{"virtual_maps", "virtualdomains", migrate.Carried, "the older name of virtual_alias_maps", nil},
	{"virtual_alias_domains", "virtualdomains", migrate.Carried, "domains of such addresses", nil},
	{"virtual_mailbox_domains", "virtualdomains", migrate.Carried, "domains with mailboxes of their own", nil},
	{"virtual_mailbox_maps", "", migrate.Carried, "the mailboxes, as .qmail files in users/virtual", nil},
	{"virtual_mailbox_base", "", migrate.Carried, "where they are", nil},
	{"virtual_uid_maps", "", migrate.Carried, "whose they are, in users/assign", nil},
	{"virtual_gid_maps", "", migrate.Carried, "their group, in users/assign", nil},
	{"virtual_minimum_uid", "localuidmin", migrate.Decided, "uids from 11 on get mail; control/localuidmin says otherwise", nil},
	{"virtual_mailbox_limit", "", migrate.Lost, "a quota is a file maildirsize in the Maildir", nil},
	{"virtual_transport", "", migrate.Carried, "who delivers to virtual mailboxes", nil},
	{"alias_maps", "aliases", migrate.Carried, "tables of aliases", nil},
	{"alias_database", "", migrate.Carried, "newaliases makes databases of the tables in control/aliases", nil},
	{"recipient_delimiter", "break", migrate.Carried, "what is between a user and an extension", breakChars},
	{"propagate_unmatched_extensions", "", migrate.Decided, "an extension of a virtual address goes no further than its .qmail file", nil},
	{"recipient_canonical_maps", "virtualdomains", migrate.Carried, "recipients of hosted domains lead on; headers stay as they are", nil},
	{"canonical_maps", "virtualdomains", migrate.Carried, "recipients of hosted domains lead on; senders and headers stay as they are", canonical},
	{"sender_canonical_maps", "", migrate.Lost, "senders are not rewritten: have the programs that send use the right one, or QMAILHOST and QMAILUSER", nil},
	{"smtp_generic_maps", "", migrate.Lost, "addresses are not rewritten on their way out", nil},
	{"masquerade_domains", "", migrate.Lost, "senders are not rewritten: control/defaulthost is what programs of this host use", nil},
	{"masquerade_exceptions", "", migrate.Lost, "see masquerade_domains", nil},
	{"append_dot_mydomain", "defaultdomain", migrate.Decided, "qmail-inject adds control/defaultdomain to names without a dot; SMTP takes addresses as they are", nil},
	{"append_at_myorigin", "defaulthost", migrate.Decided, "an address without a domain gets one", nil},
	{"local_recipient_maps", "verifyrcpt", migrate.Decided, "recipients without a mailbox are refused, unless control/verifyrcpt is 0", verify},
	{"smtpd_reject_unlisted_recipient", "verifyrcpt", migrate.Carried, "whether recipients without a mailbox are refused", verifyYes},
	{"luser_relay", "", migrate.Carried, "who gets the mail of local addresses that nobody has, in alias/.qmail-default", nil},
	{"fallback_transport", "", migrate.Lost, "mail for nobody here has no second way", nil},
	{"relocated_maps", "", migrate.Lost, "an address that has moved: |bouncesaying 'moved to ...' in its .qmail file", nil},
	{"home_mailbox", "defaultdelivery", migrate.Carried, "the mailbox in a home directory", nil},
	{"mail_spool_directory", "defaultdelivery", migrate.Step, "mailboxes are in home directories here: link /var/mail/USER to ~USER/Mailbox, or move them", nil},
	{"mailbox_command", "defaultdelivery", migrate.Carried, "the program that delivers to users", nil},
	{"mailbox_transport", "defaultdelivery", migrate.Carried, "the server that delivers to users", nil},
	{"mailbox_size_limit", "", migrate.Lost, "a quota is a file maildirsize in the Maildir; a file's size is limited by programfilesize for programs alone", nil},
	{"mailbox_delivery_lock", "", migrate.Decided, "mbox files are locked by fcntl and by a file NAME.lock", nil},
	{"forward_path", "dotforward", migrate.Decided, "~/.forward counts where there is no .qmail file (control/dotforward)", nil},
	{"allow_mail_to_commands", "", migrate.Decided, "tables of aliases and .forward files may name programs; lists may not", nil},
	{"allow_mail_to_files", "", migrate.Decided, "tables of aliases and .forward files may name files; lists may not", nil},
	{"default_privs", "", migrate.Decided, "programs of aliases run as the user alias", nil},
	{"message_size_limit", "databytes", migrate.Carried, "the most bytes of a message", number},
	{"header_size_limit", "maxheadersmtp", migrate.Carried, "the most bytes of a header; a longer one is refused, not cut", number},
	{"line_length_limit", "", migrate.Decided, "long lines are kept whole", nil},
	{"bounce_size_limit", "bouncemaxbytes", migrate.Carried, "what of a message comes back with a bounce", number},
	{"maximal_queue_lifetime", "queuelifetime", migrate.Carried, "when a message is given up", duration("d")},
	{"bounce_queue_lifetime", "bouncelifetime", migrate.Carried, "when a bounce is given up", duration("d")},
	{"delay_warning_time", "delaywarn", migrate.Carried, "when a sender is told that his message waits", duration("h")},
	{"minimal_backoff_time", "retryrules", migrate.Carried, "the first time between attempts", backoff},
	{"maximal_backoff_time", "retryrules", migrate.Carried, "the last time between attempts", nil},
	{"queue_run_delay", "", migrate.Decided, "each message has its own time; no queue is run", nil},
	{"queue_minfree", "queueminfree", migrate.Carried, "how many bytes of the queue's disk must be free", number},
	{"default_process_limit", "concurrencysmtp", migrate.Carried, "how many SMTP connections there are at a time", number},
	{"default_destination_concurrency_limit", "", migrate.Decided, "the concurrency of a destination adapts to what it takes", nil},
	{"smtp_destination_concurrency_limit", "", migrate.Decided, "the concurrency of a destination adapts to what it takes", nil},
	{"local_destination_concurrency_limit", "", migrate.Decided, "control/concurrencylocal is for all users together", nil},
	{"smtp_destination_rate_delay", "", migrate.Lost, "no destination is made to wait between messages; control/retryrules slows down what comes back", nil},
	{"default_destination_rate_delay", "", migrate.Lost, "no destination is made to wait between messages; control/retryrules slows down what comes back", nil},
	{"smtpd_banner", "smtpgreeting", migrate.Carried, "the greeting, without ESMTP, which is added", banner},
	{"smtp_helo_name", "helohost", migrate.Carried, "the name under which other hosts are greeted", line},
	{"smtp_bind_address", "outgoingip", migrate.Carried, "the address that connections to others come from", line},
	{"smtp_bind_address6", "outgoingip", migrate.Carried, "the same for IPv6", line},
	{"smtpd_timeout", "timeoutsmtpd", migrate.Carried, "seconds to wait for a client", duration("s")},
	{"smtp_connect_timeout", "timeoutconnect", migrate.Carried, "seconds to wait for a connection", duration("s")},
	{"smtp_helo_timeout", "remotetimeouts", migrate.Carried, "seconds to wait for the answer to HELO", step("hello")},
	{"smtp_mail_timeout", "remotetimeouts", migrate.Carried, "the same for MAIL", step("mail")},
	{"smtp_rcpt_timeout", "remotetimeouts", migrate.Carried, "the same for RCPT", step("rcpt")},
	{"smtp_data_init_timeout", "remotetimeouts", migrate.Carried, "the same for DATA", step("data")},
	{"smtp_data_xfer_timeout", "remotetimeouts", migrate.Carried, "the same for a piece of the message", step("block")},
	{"smtp_data_done_timeout", "remotetimeouts", migrate.Carried, "the same for the message", step("end")},
	{"smtpd_client_connection_count_limit", "concurrencysmtpip", migrate.Carried, "how many connections one address has at a time", number},
	{"smtpd_client_connection_rate_limit", "rateconnsmtp", migrate.Carried, "connections a minute from one address", number},
	{"smtpd_client_message_rate_limit", "ratemailsmtp", migrate.Carried, "messages; Postfix counts them in a minute (anvil_rate_time_unit), and here it is an hour", hourly},
	{"smtpd_client_recipient_rate_limit", "ratercptsmtp", migrate.Carried, "recipients; as the one before", hourly},
	{"anvil_rate_time_unit", "", migrate.Decided, "rates are a minute for connections, an hour for messages and recipients", nil},
	{"smtpd_recipient_limit", "maxrcpt", migrate.Carried, "the most recipients of a message", number},
	{"smtpd_soft_error_limit", "tarpiterrors", migrate.Carried, "how many refusals do not wait", number},
	{"smtpd_hard_error_limit", "maxerrorsmtp", migrate.Carried, "how many refused commands end a connection", number},
	{"smtpd_error_sleep_time", "tarpitdelay", migrate.Carried, "seconds that each refusal waits after too many", duration("s")},
	{"smtpd_junk_command_limit", "", migrate.Decided, "control/maxerrorsmtp counts all refused commands", nil},
	{"smtpd_helo_required", "", migrate.Lost, "HELO is not asked for", nil},
	{"strict_rfc821_envelopes", "", migrate.Decided, "addresses that RFC 5321 does not have are refused in any case", nil},
	{"disable_vrfy_command", "", migrate.Decided, "VRFY tells nothing", nil},
	{"smtpd_discard_ehlo_keywords", "", migrate.Lost, "extensions are not switched off one by one", nil},
	{"smtpd_delay_reject", "", migrate.Decided, "refusals come at the first recipient", nil},
	{"smtpd_client_restrictions", "tcp.smtp", migrate.Carried, "each word becomes what the table below says", restrictions},
	{"smtpd_helo_restrictions", "badhelo", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_sender_restrictions", "badmailfrom", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_recipient_restrictions", "badmailto", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_relay_restrictions", "rcpthosts", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_data_restrictions", "", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_end_of_data_restrictions", "", migrate.Carried, "as smtpd_client_restrictions", restrictions},
	{"smtpd_etrn_restrictions", "", migrate.Decided, "there is no ETRN", nil},
	{"smtpd_restriction_classes", "", migrate.Lost, "rules of tcp.smtp set variables by client; there are no classes", nil},
	{"smtpd_sender_login_maps", "", migrate.Lost, "who has logged in may use any sender", nil},
	{"header_checks", "", migrate.Lost, "headers are looked at by a milter (control/milters) or a filter (QMAILQUEUE)", nil},
	{"mime_header_checks", "", migrate.Lost, "headers are looked at by a milter (control/milters) or a filter (QMAILQUEUE)", nil},
	{"nested_header_checks", "", migrate.Lost, "headers are looked at by a milter (control/milters) or a filter (QMAILQUEUE)", nil},
	{"body_checks", "", migrate.Lost, "bodies are looked at by a milter (control/milters) or a filter (QMAILQUEUE)", nil},
	{"smtp_header_checks", "", migrate.Lost, "nothing is changed on the way out", nil},
	{"content_filter", "tcp.smtp", migrate.Lost, "a filter is a program that QMAILQUEUE names in control/tcp.smtp, or a milter; rspamd and clamav have milters", nil},
	{"receive_override_options", "", migrate.Decided, "nothing is rewritten between a filter and the queue", nil},
	{"smtpd_proxy_filter", "", migrate.Lost, "a filter that speaks SMTP before the queue: use its milter (control/milters)", nil},
	{"smtpd_milters", "milters", migrate.Carried, "milters", milters},
	{"non_smtpd_milters", "", migrate.Lost, "mail that programs of this host hand in passes no milter", nil},
	{"milter_default_action", "milters", migrate.Carried, "what counts if a milter cannot be asked", nil},
	{"milter_protocol", "", migrate.Decided, "it is agreed with each milter", nil},
	{"milter_mail_macros", "", migrate.Decided, "milters get the macros that they usually ask for", nil},
	{"always_bcc", "", migrate.Lost, "a copy of all mail: a program in place of qmail-queue (QMAILQUEUE) adds a recipient", nil},
	{"sender_bcc_maps", "", migrate.Lost, "a copy by sender: a program in place of qmail-queue (QMAILQUEUE) adds a recipient", nil},
	{"recipient_bcc_maps", "", migrate.Lost, "a copy by recipient: a second line in the .qmail file of the address", nil},
	{"notify_classes", "", migrate.Lost, "the postmaster gets bounces of bounces, and no reports; the log has the rest", nil},
	{"2bounce_notice_recipient", "doublebounceto", migrate.Carried, "who gets bounces of bounces", double},
	{"error_notice_recipient", "", migrate.Lost, "no reports are mailed; the log has them", nil},
	{"bounce_template_file", "", migrate.Lost, "the text of bounces is fixed; control/bouncefrom and bouncehost are their sender", nil},
	{"soft_bounce", "", migrate.Lost, "there is no such switch: hold mail by qmail-queuectl", nil},
	{"smtpd_tls_cert_file", "", migrate.Step, "write key and certificates into control/servercert.pem: cat KEY CERT > control/servercert.pem, owner root, mode 0600", tlsKey},
	{"smtpd_tls_key_file", "", migrate.Step, "see smtpd_tls_cert_file", nil},
	{"smtpd_tls_chain_files", "", migrate.Step, "write them into control/servercert.pem, the key first, owner root, mode 0600", nil},
	{"smtpd_tls_CAfile", "", migrate.Step, "with tlsclients, what vouches for clients is control/clientca.pem", nil},
	{"smtpd_tls_security_level", "", migrate.Decided, "STARTTLS is offered once control/servercert.pem is there", tlsLevelIn},
	{"smtpd_use_tls", "", migrate.Decided, "STARTTLS is offered once control/servercert.pem is there", nil},
	{"smtpd_tls_auth_only", "authinsecure", migrate.Decided, "passwords are taken inside TLS only, unless control/authinsecure is 1", nil},
	{"smtpd_tls_protocols", "", migrate.Decided, "TLS 1.2 and 1.3; the word oldtls in control/smtplisten takes older ones", nil},
	{"smtpd_tls_mandatory_protocols", "", migrate.Decided, "TLS 1.2 and 1.3; the word oldtls in control/smtplisten takes older ones", nil},
	{"smtpd_tls_ciphers", "", migrate.Decided, "ciphers are not chosen: none that is known to be broken is offered", nil},
	{"smtpd_tls_mandatory_ciphers", "", migrate.Decided, "ciphers are not chosen", nil},
	{"smtpd_tls_dh1024_param_file", "", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"smtpd_tls_session_cache_database", "", migrate.Decided, "sessions are resumed by tickets", nil},
	{"smtp_tls_session_cache_database", "", migrate.Decided, "connections are kept instead", nil},
	{"smtpd_tls_loglevel", "", migrate.Decided, "the log has what each session uses", nil},
	{"smtp_tls_loglevel", "", migrate.Decided, "each delivery says what it used", nil},
	{"smtpd_tls_received_header", "", migrate.Decided, "Received fields say so", nil},
	{"smtpd_tls_ask_ccert", "tlsclients", migrate.Step, "certificates of clients are asked for once control/tlsclients is there", nil},
	{"relay_clientcerts", "tlsclients", migrate.Step, "write the SHA-256 fingerprints of the certificates into control/tlsclients", nil},
	{"smtpd_tls_eecdh_grade", "", migrate.Decided, "curves are not chosen", nil},
	{"tls_preempt_cipherlist", "", migrate.Decided, "ciphers are not chosen", nil},
	{"tls_random_source", "", migrate.Decided, "random numbers are the kernel's", nil},
	{"smtp_tls_security_level", "tlspolicy", migrate.Carried, "what a connection to others must have", tlsLevelOut},
	{"smtp_use_tls", "tlspolicy", migrate.Decided, "TLS is used where it is offered", nil},
	{"smtp_enforce_tls", "tlspolicy", migrate.Carried, "yes: TLS is asked of every host", tlsEnforce},
	{"smtp_tls_policy_maps", "tlspolicy", migrate.Carried, "the same by domain", tlsPolicies},
	{"smtp_tls_CAfile", "", migrate.Decided, "the authorities of this machine are trusted", nil},
	{"smtp_tls_CApath", "", migrate.Decided, "the authorities of this machine are trusted", nil},
	{"smtp_tls_cert_file", "", migrate.Step, "write key and certificates into control/clientcert.pem, owner root, mode 0600", nil},
	{"smtp_tls_key_file", "", migrate.Step, "see smtp_tls_cert_file", nil},
	{"smtp_tls_note_starttls_offer", "", migrate.Decided, "the log says what was used", nil},
	{"smtp_dns_support_level", "", migrate.Decided, "DANE needs a resolver on this machine that verifies, whatever this says", nil},
	{"smtp_tls_protocols", "", migrate.Decided, "TLS 1.2 and 1.3; the word oldtls in control/tlspolicy takes older ones", nil},
	{"smtp_tls_mandatory_protocols", "", migrate.Decided, "TLS 1.2 and 1.3; the word oldtls in control/tlspolicy takes older ones", nil},
	{"smtp_tls_ciphers", "", migrate.Decided, "ciphers are not chosen", nil},
	{"smtp_tls_mandatory_ciphers", "", migrate.Decided, "ciphers are not chosen", nil},
	{"smtp_sasl_auth_enable", "remoteauth", migrate.Carried, "a login is used where control/remoteauth has one", nil},
	{"smtp_sasl_password_maps", "remoteauth", migrate.Carried, "logins at relays; the file belongs to qmailr, mode 0600", logins},
	{"smtp_sasl_security_options", "remoteauthinsecure", migrate.Decided, "logins go over TLS only, unless control/remoteauthinsecure is 1", nil},
	{"smtp_sasl_tls_security_options", "", migrate.Decided, "logins go over TLS only", nil},
	{"smtp_sasl_mechanism_filter", "", migrate.Decided, "the best of PLAIN, LOGIN and others that the relay offers is used", nil},
	{"smtp_sender_dependent_authentication", "authsenders", migrate.Decided, "a route of control/authsenders can have a login", nil},
	{"smtpd_sasl_auth_enable", "checkpassword", migrate.Step, "passwords are in users/smtppasswd (qmail-authpw), or control/checkpassword names a program that knows them", nil},
	{"smtpd_sasl_type", "checkpassword", migrate.Step, "Dovecot and Cyrus SASL are asked by a checkpassword program only: name one in control/checkpassword", nil},
	{"smtpd_sasl_path", "checkpassword", migrate.Step, "see smtpd_sasl_type", nil},
	{"smtpd_sasl_security_options", "", migrate.Decided, "there are no anonymous logins", nil},
	{"smtpd_sasl_tls_security_options", "", migrate.Decided, "there are no anonymous logins", nil},
	{"smtpd_sasl_local_domain", "", migrate.Lost, "a login is compared as the client sends it: add the domain to the names in users/smtppasswd", nil},
	{"smtpd_sasl_authenticated_header", "", migrate.Decided, "Received fields say that a client had logged in", nil},
	{"broken_sasl_auth_clients", "", migrate.Lost, "AUTH is announced in the form of RFC 4954 alone", nil},
	{"smtpd_authorized_xclient_hosts", "xclienthosts", migrate.Carried, "hosts that may say for whom they speak", hosts},
	{"smtpd_upstream_proxy_protocol", "smtplisten", migrate.Carried, "haproxy: the word proxy in control/smtplisten, and control/proxyhosts", nil},
	{"postscreen_upstream_proxy_protocol", "smtplisten", migrate.Carried, "haproxy: the word proxy in control/smtplisten, and control/proxyhosts", nil},
	{"postscreen_dnsbl_sites", "dnsbllist", migrate.Carried, "lists of addresses in the DNS; weights do not add up here: each list counts alone", postscreenLists},
	{"postscreen_dnsbl_threshold", "dnsbllist", migrate.Decided, "each list counts alone", nil},
	{"postscreen_dnsbl_action", "dnsbllist", migrate.Decided, "a client in a list is refused", nil},
	{"postscreen_greet_wait", "greetdelay", migrate.Carried, "seconds that a client waits for the greeting", duration("s")},
	{"postscreen_greet_action", "greetdelay", migrate.Decided, "who talks before the greeting is refused", nil},
	{"postscreen_access_list", "tcp.smtp", migrate.Lost, "write rules of tcp.smtp: address:deny, or with DNSBLSKIP", nil},
	{"postscreen_bare_newline_action", "", migrate.Decided, "bare LF is refused", nil},
	{"smtpd_forbid_bare_newline", "", migrate.Decided, "bare LF is refused", nil},
	{"enable_long_queue_ids", "", migrate.Decided, "numbers of messages are long and used once", nil},
	{"smtputf8_enable", "", migrate.Decided, "SMTPUTF8 is offered", nil},
	{"allow_percent_hack", "percenthack", migrate.Decided, "user%host is an ordinary local part, unless control/percenthack names the domain", nil},
	{"swap_bangpath", "", migrate.Decided, "host!user is an ordinary local part", nil},
	{"biff", "", migrate.Decided, "qbiff, in a .qmail file, tells of new mail", nil},
	{"readme_directory", "", migrate.Decided, "", nil},
	{"html_directory", "", migrate.Decided, "", nil},
	{"manpage_directory", "", migrate.Decided, "", nil},
	{"sample_directory", "", migrate.Decided, "", nil},
	{"command_directory", "", migrate.Decided, "", nil},
	{"daemon_directory", "", migrate.Decided, "", nil},
	{"data_directory", "", migrate.Decided, "", nil},
	{"queue_directory", "", migrate.Decided, "", nil},
	{"meta_directory", "", migrate.Decided, "", nil},
	{"shlib_directory", "", migrate.Decided, "", nil},
	{"sendmail_path", "", migrate.Decided, "", nil},
	{"newaliases_path", "", migrate.Decided, "", nil},
	{"mailq_path", "", migrate.Decided, "", nil},
	{"mail_owner", "", migrate.Decided, "", nil},
	{"setgid_group", "", migrate.Decided, "", nil},
	{"compatibility_level", "", migrate.Decided, "", nil},
	{"debug_peer_level", "", migrate.Decided, "", nil},
	{"debug_peer_list", "", migrate.Decided, "", nil},
	{"debugger_command", "", migrate.Decided, "", nil},
	{"unknown_local_recipient_reject_code", "", migrate.Decided, "550", nil},
	{"maillog_file", "", migrate.Decided, "the log goes to standard output, or to the logger that qmail-start is given", nil},
	{"default_database_type", "", migrate.Decided, "", nil},
	{"parent_domain_matches_subdomains", "rcpthosts", migrate.Carried, "domains below others are lines that begin with a dot", nil},
	{"config_directory", "", migrate.Decided, "", nil},
}

// lookUp finds a parameter.
func lookUp(name string) (parameter, bool) {
	for _, p := range parameters {
		if p.name == name {
			return p, true
		}
	}
	return parameter{}, false
}

// parameter does what is to be done for one that is set.
func (r *reader) parameter(p parameter) {
	s := r.main.set[p.name]
	value, err := r.main.value(p.name)
	what := p.name + " = " + short(s.value)
	if p.name == "smtp_sasl_password_maps" { // static: and inline: have passwords
		what = p.name
	}
	if err != nil {
		r.site.Remark(migrate.Lost, s.where, what, "%v: say in control/%s what it means", err, p.file)
		return
	}
	if value == "" && p.kind == migrate.Lost || p.text == "" {
		return // it is switched off, or is about files of Postfix
	}
	text := p.text
	if p.file != "" && p.kind == migrate.Carried {
		text = "control/" + p.file + ": " + text
	}
	r.site.Remark(p.kind, s.where, what, "%s", text)
	if p.take != nil {
		p.take(r, s, value)
	}
}
