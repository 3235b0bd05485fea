package qmail

import (
	"postrider/internal/migrate"
)

// setting is what becomes of a control file.
type setting struct {
	name string
	from string // which qmail has it
	kind migrate.Kind
	text string
	take func(r *reader, f file) // nil: the text says it all
}

// settings are the control files that are known, as docs/migrate-from-qmail.md has
// them.
var settings = []setting{
	{"badmailfrom", "qmail", migrate.Carried, "", patterns("badmailfrom")},
	{"bouncefrom", "qmail", migrate.Carried, "", same},
	{"bouncehost", "qmail", migrate.Carried, "", same},
	{"concurrencylocal", "qmail", migrate.Carried, "", same},
	{"concurrencyremote", "qmail", migrate.Carried, "", same},
	{"databytes", "qmail", migrate.Carried, "", same},
	{"defaultdomain", "qmail", migrate.Carried, "", same},
	{"defaulthost", "qmail", migrate.Carried, "", same},
	{"doublebouncehost", "qmail", migrate.Carried, "", same},
	{"doublebounceto", "qmail", migrate.Carried, "", same},
	{"envnoathost", "qmail", migrate.Carried, "", same},
	{"helohost", "qmail", migrate.Carried, "", same},
	{"idhost", "qmail", migrate.Carried, "", same},
	{"localiphost", "qmail", migrate.Carried, "", same},
	{"locals", "qmail", migrate.Carried, "", same},
	{"me", "qmail", migrate.Carried, "", same},
	{"morercpthosts", "qmail", migrate.Carried, "", same},
	{"morercpthosts.cdb", "qmail", migrate.Carried, "", same},
	{"percenthack", "qmail", migrate.Carried, "", same},
	{"plusdomain", "qmail", migrate.Carried, "", same},
	{"qmqpservers", "qmail", migrate.Carried, "", same},
	{"queuelifetime", "qmail", migrate.Carried, "", same},
	{"rcpthosts", "qmail", migrate.Carried, "", same},
	{"smtpgreeting", "qmail", migrate.Carried, "", same},
	{"smtproutes", "qmail", migrate.Carried, "", same},
	{"timeoutconnect", "qmail", migrate.Carried, "", same},
	{"timeoutremote", "qmail", migrate.Carried, "", same},
	{"timeoutsmtpd", "qmail", migrate.Carried, "", same},
	{"virtualdomains", "qmail", migrate.Carried, "", same},

	{"defaultdelivery", "Life with qmail", migrate.Carried, "the argument of qmail-start; the run script reads it, no program", deliveryOf},
	{"aliasempty", "qmail-ldap", migrate.Step, "the argument of qmail-start is what is delivered without a .qmail file", nil},
	{"concurrencyincoming", "Life with qmail", migrate.Carried, "control/concurrencysmtp", as("concurrencysmtp")},
	{"logcount", "qmailtoaster", migrate.Decided, "of the logger, which stays", nil},
	{"logsize", "qmailtoaster", migrate.Decided, "of the logger, which stays", nil},
	{"blacklists", "qmailtoaster", migrate.Carried, "arguments of rblsmtpd: control/dnsbllist", blacklists},
	{"rbllist", "qmail-ldap", migrate.Lost, "write its zones into control/dnsbllist, - in front", nil},
	{"dnsbllist", "John Simpson, Sagredo", migrate.Carried, "", added},
	{"dnsblfailclosed", "Sagredo", migrate.Carried, "", same},

	{"smtpauth", "patches", migrate.Step, "passwords are in users/smtppasswd (qmail-authpw), or control/checkpassword names a program", nil},
	{"authsenders", "Sagredo", migrate.Carried, "", same},
	{"outgoingip", "patches", migrate.Carried, "", same},
	{"outgoingips", "patches", migrate.Lost, "write its addresses into control/outgoingip, with from= or to=", nil},
	{"bindroutes", "indimail", migrate.Lost, "control/outgoingip: address to=domain", nil},
	{"domainbindings", "patches", migrate.Lost, "control/outgoingip: address from=domain", nil},
	{"qmtproutes", "indimail", migrate.Carried, "", same},
	{"moreipme", "patches", migrate.Carried, "", same},
	{"notipme", "patches", migrate.Lost, "which addresses are this host's is what the kernel says", nil},
	{"smtpclustercookie", "qmail-ldap", migrate.Lost, "loops are seen by Received fields and Delivered-To", nil},

	{"servercert.pem", "TLS patch", migrate.Step, "copy it as root: install -o root -m 0600; not to qmaild, as the patch has it. Without it there is no TLS", nil},
	{"clientcert.pem", "TLS patch", migrate.Step, "copy it as root: install -o root -m 0600", nil},
	{"servercerts", "Sagredo", migrate.Step, "copy it as root: each NAME/servercert.pem owner root, mode 0600", nil},
	{"clientca.pem", "TLS patch", migrate.Carried, "", same},
	{"clientcrl.pem", "TLS patch", migrate.Lost, "certificates are not looked up in a list of revoked ones: take their lines out of control/tlsclients", nil},
	{"tlsclients", "TLS patch", migrate.Carried, "", same},
	{"tlsserverciphers", "TLS patch", migrate.Decided, "ciphers are not chosen: none that is known to be broken is offered", nil},
	{"tlsclientciphers", "TLS patch", migrate.Decided, "ciphers are not chosen", nil},
	{"tlshosts", "TLS patch", migrate.Lost, "hosts that must have verified TLS: control/tlspolicy, by the domain of the recipient, level verify", nil},
	{"notlshosts", "TLS patch", migrate.Lost, "hosts without TLS: control/tlspolicy, by the domain of the recipient, level none", nil},
	{"notlshosts_auto", "TLS patch", migrate.Decided, "after a failure mail goes without TLS on a new connection, unless control/tlspolicy says otherwise", nil},
	{"rsa512.pem", "TLS patch", migrate.Decided, "such keys are not used", nil},
	{"rsa2048.pem", "TLS patch", migrate.Decided, "such keys are not used", nil},
	{"rsa4096.pem", "TLS patch", migrate.Decided, "such keys are not used", nil},
	{"dh512.pem", "TLS patch", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"dh1024.pem", "TLS patch", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"dh2048.pem", "TLS patch", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"dh4096.pem", "TLS patch", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"smtpcert", "qmail-ldap", migrate.Step, "the name of a certificate: write key and certificates into control/servercert.pem", nil},
	{"remotecert", "qmail-ldap", migrate.Step, "the name of a certificate: write key and certificates into control/clientcert.pem", nil},

	{"domainkeys", "DKIM patch", migrate.Step, "copy the keys as root, mode 0600, and name them in control/dkimsign: domain selector key", nil},
	{"dkimkeys", "DKIM patch", migrate.Step, "write its keys into control/dkimsign: domain selector key", nil},
	{"dkim", "DKIM patch", migrate.Step, "copy its keys into control/domainkeys as root, mode 0600, and name them in control/dkimsign", nil},
	{"signaturedomains", "DKIM patch", migrate.Step, "these domains each get a line in control/dkimsign", nil},
	{"nosignaturedomains", "DKIM patch", migrate.Step, "these domains each get a line in control/dkimsign: domain -", nil},
	{"filterargs", "indimail", migrate.Lost, "a program in place of qmail-remote is named by QMAILREMOTE; control/dkimsign signs without one", nil},
	{"qfilters", "Sagredo", migrate.Lost, "a program in place of qmail-queue is named by QMAILQUEUE in control/tcp.smtp", nil},
	{"spfbehavior", "SPF patch", migrate.Carried, "", same},
	{"spfexp", "SPF patch", migrate.Lost, "what a refused client is told is the domain's own text, or ours", nil},
	{"spfguess", "SPF patch", migrate.Lost, "no policy is guessed for domains without one", nil},
	{"spfrules", "SPF patch", migrate.Lost, "no local rules: SPFBEHAVIOR in control/tcp.smtp exempts clients that forward", nil},
	{"srs_domain", "SRS patch", migrate.Carried, "control/srsdomain; SRS starts with control/srssecret", as("srsdomain")},
	{"srs_secrets", "SRS patch", migrate.Step, "copy it to control/srssecret as root, mode 0600: a secret in each line, 16 bytes or more, the first one counts", nil},
	{"srs_maxage", "SRS patch", migrate.Decided, "21 days", nil},
	{"srs_hashlength", "SRS patch", migrate.Decided, "addresses that the old one made are not known: they bounce for as long as they live", nil},
	{"srs_hashmin", "SRS patch", migrate.Decided, "it is fixed", nil},
	{"srs_separator", "SRS patch", migrate.Decided, "it is fixed", nil},
	{"srs_alwaysrewrite", "SRS patch", migrate.Decided, "senders of domains that are not in rcpthosts are rewritten", nil},
	{"authservid", "Sagredo", migrate.Carried, "", same},

	{"badhelo", "patches", migrate.Carried, "", patterns("badhelo")},
	{"badhelonorelay", "qregex", migrate.Carried, "control/badhelo, which counts for all clients", patterns("badhelo")},
	{"badmailfromnorelay", "qregex", migrate.Carried, "control/badmailfrom, which counts for all clients", patterns("badmailfrom")},
	{"badmailfrom-unknown", "qmail-ldap", migrate.Lost, "senders for hosts without a name: control/checkrdns refuses such hosts", nil},
	{"badmailto", "patches", migrate.Carried, "", patterns("badmailto")},
	{"badrcptto", "patches", migrate.Carried, "", patterns("badrcptto")},
	{"badrcpttonorelay", "qregex", migrate.Carried, "control/badrcptto, which counts for all clients", patterns("badrcptto")},
	{"badmimetypes", "patches", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"badmimetypes.cdb", "patches", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"badloadertypes", "patches", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"goodmailfrom", "qmail-ldap", migrate.Lost, "no sender is exempt", nil},
	{"goodmailaddr", "qmail-ldap", migrate.Lost, "no recipient is exempt", nil},
	{"relaymailfrom", "patches", migrate.Lost, "whoever says he is a certain sender may relay: that is an open door. Log in, or name networks in control/tcp.smtp", nil},
	{"relaydomains", "indimail", migrate.Lost, "rules of control/tcp.smtp go by addresses", nil},
	{"relayclients", "indimail", migrate.Lost, "write RELAYCLIENT into control/tcp.smtp", nil},
	{"validrcptto", "John Simpson", migrate.Decided, "qmail-lookup knows who has a mailbox, without a list (control/verifyrcpt)", nil},
	{"validrcptto.cdb", "John Simpson", migrate.Decided, "qmail-lookup knows who has a mailbox, without a list (control/verifyrcpt)", nil},
	{"morevalidrcptto", "Sagredo", migrate.Decided, "qmail-lookup knows who has a mailbox, without a list (control/verifyrcpt)", nil},
	{"morevalidrcptto.cdb", "Sagredo", migrate.Decided, "qmail-lookup knows who has a mailbox, without a list (control/verifyrcpt)", nil},
	{"recipients", "s/qmail, indimail", migrate.Decided, "qmail-lookup knows who has a mailbox, without a list (control/verifyrcpt)", nil},
	{"brtlimit", "Sagredo", migrate.Carried, "control/maxbadrcpt", as("maxbadrcpt")},
	{"maxrcpt", "patches", migrate.Carried, "", same},
	{"maxrecipients", "indimail", migrate.Carried, "control/maxrcpt", as("maxrcpt")},
	{"maxhops", "indimail", migrate.Decided, "100", nil},
	{"tarpitcount", "tarpit patch", migrate.Lost, "recipients are not slowed down one by one: control/maxbadrcpt and tarpiterrors count what is refused, ratercptsmtp all", nil},
	{"tarpitdelay", "tarpit patch", migrate.Carried, "control/tarpitdelay, for each refusal beyond tarpiterrors", same},
	{"rejectrelaytest", "Sagredo", migrate.Decided, "an address with % is judged as what percenthack makes of it", nil},
	{"rejectnullsenders", "Sagredo", migrate.Lost, "bounces are taken: RFC 5321 section 6.1 asks for that", nil},
	{"mfcheck", "patches", migrate.Lost, "a sender's domain is not judged but by SPF (control/spfbehavior)", nil},
	{"nodnscheck", "indimail", migrate.Decided, "a sender's domain is not looked up", nil},
	{"surbldomain", "Sagredo", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"surbldomainwhite", "Sagredo", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"surblrcpt", "Sagredo", migrate.Lost, "messages are looked at by a milter or a filter", nil},
	{"level2-tlds", "Sagredo", migrate.Lost, "of surblfilter", nil},
	{"level3-tlds", "Sagredo", migrate.Lost, "of surblfilter", nil},
	{"cachelifetime", "Sagredo", migrate.Lost, "of surblfilter", nil},
	{"cache", "Sagredo", migrate.Lost, "of surblfilter", nil},
	{"smtpplugins", "qmail-spp", migrate.Lost, "there are no plugins: milters (control/milters) see each step of a session", nil},
	{"taps", "qmail-taps", migrate.Lost, "a copy of mail: a program in place of qmail-queue (QMAILQUEUE) adds a recipient, or a second line in a .qmail file", nil},
	{"bigbrother", "qmail-ldap", migrate.Lost, "as control/taps", nil},
	{"mailarchive", "indimail", migrate.Lost, "as control/taps", nil},
	{"policy", "eMPF", migrate.Lost, "who may write to whom is not decided by a table", nil},
	{"simcontrol", "simscan", migrate.Step, "simscan runs as QMAILQUEUE, as the user qmailf: give that user its working directory", nil},
	{"simcontrol.cdb", "simscan", migrate.Step, "simscan runs as QMAILQUEUE, as the user qmailf: give that user its working directory", nil},
	{"simversions", "simscan", migrate.Decided, "of simscan", nil},
	{"simversions.cdb", "simscan", migrate.Decided, "of simscan", nil},
	{"chkuser", "chkuser", migrate.Decided, "qmail-lookup knows who has a mailbox", nil},
	{"greylist", "patches", migrate.Lost, "control/greylist is seconds here: 300, for example", nil},
	{"greetdelay", "patches", migrate.Carried, "", same},

	{"bouncemaxbytes", "patches", migrate.Carried, "", same},
	{"custombouncetext", "qmail-ldap", migrate.Lost, "the text of bounces is fixed", nil},
	{"bouncemessage", "indimail", migrate.Lost, "the text of bounces is fixed", nil},
	{"bouncesubject", "indimail", migrate.Lost, "the text of bounces is fixed", nil},
	{"doublebouncemessage", "indimail", migrate.Lost, "the text of bounces is fixed", nil},
	{"doublebouncesubject", "indimail", migrate.Lost, "the text of bounces is fixed", nil},
	{"holdlocal", "indimail", migrate.Step, "0 in control/concurrencylocal holds local mail", nil},
	{"holdremote", "indimail", migrate.Step, "0 in control/concurrencyremote holds remote mail", nil},
	{"todointerval", "patches", migrate.Decided, "new messages are announced; no directory is looked through", nil},
	{"bigtodo", "patches", migrate.Decided, "the queue is of another form", nil},
	{"conf-split", "patches", migrate.Decided, "the queue is of another form", nil},
	{"locals.cdb", "qmail-ldap", migrate.Lost, "write its domains into control/locals", nil},
	{"rcpthosts.cdb", "qmail-ldap", migrate.Lost, "write its domains into control/morercpthosts, and run qmail-newmrh", nil},
	{"virtualdomains.cdb", "patches", migrate.Lost, "write its lines into control/virtualdomains", nil},
	{"domainqueue", "indimail", migrate.Lost, "there is one queue", nil},
	{"authdomains", "indimail", migrate.Lost, "who has logged in may use any sender", nil},
	{"hostaccess", "indimail", migrate.Lost, "write rules of control/tcp.smtp", nil},
	{".envrules", "indimail", migrate.Lost, "variables by sender have no equivalent", nil},
	{"quotawarnmsg", "vpopmail", migrate.Carried, "", same},
	{"overquota", "this suite", migrate.Carried, "", same},
}

// lookUp finds the setting of a file. Those of qmail-ldap's directory are one.
func lookUp(name string) (setting, bool) {
	for _, s := range settings {
		if s.name == name {
			return s, true
		}
	}
	if len(name) > 4 && name[:4] == "ldap" {
		return setting{name, "qmail-ldap", migrate.Lost, "accounts of a directory come from the machine (nsswitch.conf, qmail-nss); what only qmail-ldap's schema has is lost", nil}, true
	}
	return setting{}, false
}
