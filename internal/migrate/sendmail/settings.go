package sendmail

import (
	"strconv"
	"strings"

	"postrider/internal/migrate"
)

// setting is what becomes of a macro of sendmail.mc.
type setting struct {
	name string // of the define, the feature or the macro
	file string // the control file that has it, or nothing
	kind migrate.Kind
	text string
	take func(r *reader, c call, value string)
}

// defines are the names that define(`...') gives a value, as
// docs/migrate-from-sendmail.md has them.
var defines = []setting{
	{"confDOMAIN_NAME", "me", migrate.Carried, "the name of the host", nil},
	{"SMART_HOST", "smtproutes", migrate.Carried, "the relay for all other domains", nil},
	{"LUSER_RELAY", "", migrate.Carried, "who gets the mail of local addresses that nobody has, in alias/.qmail-default", nil},
	{"MAIL_HUB", "", migrate.Lost, "local mail for another host: put the domains into control/smtproutes in place of locals", nil},
	{"LOCAL_RELAY", "", migrate.Lost, "names without a domain for another host: set control/defaulthost to its domain", nil},
	{"BITNET_RELAY", "", migrate.Lost, "there are such networks no more", nil},
	{"UUCP_RELAY", "", migrate.Lost, "host!user is an ordinary local part", nil},
	{"ALIAS_FILE", "aliases", migrate.Carried, "tables of aliases", nil},
	{"confMAX_MESSAGE_SIZE", "databytes", migrate.Carried, "the most bytes of a message", number("databytes")},
	{"confMAX_HEADERS_LENGTH", "maxheadersmtp", migrate.Carried, "the most bytes of a header", number("maxheadersmtp")},
	{"confMAX_RCPTS_PER_MESSAGE", "maxrcpt", migrate.Carried, "the most recipients of a message", number("maxrcpt")},
	{"confMAX_DAEMON_CHILDREN", "concurrencysmtp", migrate.Carried, "how many SMTP connections there are at a time", number("concurrencysmtp")},
	{"confCONNECTION_RATE_THROTTLE", "rateconnsmtp", migrate.Lost, "Sendmail counts connections a second of all clients; control/rateconnsmtp is a minute of one address", nil},
	{"confBAD_RCPT_THROTTLE", "tarpiterrors", migrate.Carried, "how many refused recipients do not wait; each further one waits a second", throttle},
	{"confSMTP_LOGIN_MSG", "smtpgreeting", migrate.Decided, "the greeting is the name of the host, unless control/smtpgreeting says otherwise", nil},
	{"confMIN_FREE_BLOCKS", "queueminfree", migrate.Carried, "how much of the queue's disk must be free, in blocks of 1024 bytes there", blocks},
	{"confDOUBLE_BOUNCE_ADDRESS", "doublebounceto", migrate.Carried, "who gets bounces of bounces", line("doublebounceto")},
	{"confTO_QUEUERETURN", "queuelifetime", migrate.Carried, "when a message is given up", duration("queuelifetime", "d")},
	{"confTO_QUEUEWARN", "delaywarn", migrate.Carried, "when a sender is told that his message waits", duration("delaywarn", "h")},
	{"confTO_CONNECT", "timeoutconnect", migrate.Carried, "seconds to wait for a connection", duration("timeoutconnect", "m")},
	{"confTO_COMMAND", "timeoutsmtpd", migrate.Carried, "seconds to wait for a client's command", duration("timeoutsmtpd", "m")},
	{"confTO_INITIAL", "remotetimeouts", migrate.Carried, "seconds to wait for a greeting", timeout("greeting")},
	{"confTO_HELO", "remotetimeouts", migrate.Carried, "the same for the answer to HELO", timeout("hello")},
	{"confTO_MAIL", "remotetimeouts", migrate.Carried, "the same for MAIL", timeout("mail")},
	{"confTO_RCPT", "remotetimeouts", migrate.Carried, "the same for RCPT", timeout("rcpt")},
	{"confTO_DATAINIT", "remotetimeouts", migrate.Carried, "the same for DATA", timeout("data")},
	{"confTO_DATABLOCK", "remotetimeouts", migrate.Carried, "the same for a piece of the message", timeout("block")},
	{"confTO_DATAFINAL", "remotetimeouts", migrate.Carried, "the same for the message", timeout("end")},
	{"confTO_ICONNECT", "", migrate.Decided, "first attempts wait as others do (control/timeoutconnect)", nil},
	{"confTO_IDENT", "", migrate.Decided, "no ident server is asked", nil},
	{"confMIN_QUEUE_AGE", "retryrules", migrate.Lost, "times between attempts are in control/retryrules; without it they grow, as with qmail", nil},
	{"confQUEUE_LA", "", migrate.Decided, "the load of the machine is not looked at: concurrency is bounded", nil},
	{"confREFUSE_LA", "", migrate.Decided, "the load of the machine is not looked at: concurrency is bounded", nil},
	{"confDELAY_LA", "", migrate.Decided, "the load of the machine is not looked at: concurrency is bounded", nil},
	{"confPRIVACY_FLAGS", "", migrate.Decided, "VRFY and EXPN tell nothing, and there is no ETRN; needmailhelo is not asked for", nil},
	{"confAUTH_MECHANISMS", "", migrate.Step, "passwords are in users/smtppasswd (qmail-authpw), or control/checkpassword names a program that knows them; mechanisms follow from the hashes", nil},
	{"confAUTH_OPTIONS", "authinsecure", migrate.Decided, "passwords are taken inside TLS only, unless control/authinsecure is 1", nil},
	{"confSERVER_CERT", "", migrate.Step, "write key and certificates into control/servercert.pem: cat KEY CERT > control/servercert.pem, owner root, mode 0600", nil},
	{"confSERVER_KEY", "", migrate.Step, "see confSERVER_CERT", nil},
	{"confCLIENT_CERT", "", migrate.Step, "write key and certificates into control/clientcert.pem, owner root, mode 0600", nil},
	{"confCLIENT_KEY", "", migrate.Step, "see confCLIENT_CERT", nil},
	{"confCACERT", "", migrate.Decided, "the authorities of this machine are trusted; those of clients are in control/clientca.pem", nil},
	{"confCACERT_PATH", "", migrate.Decided, "the authorities of this machine are trusted", nil},
	{"confCRL", "", migrate.Lost, "certificates are not looked up in a list of revoked ones", nil},
	{"confDH_PARAMETERS", "", migrate.Decided, "key exchange is by elliptic curves", nil},
	{"confCIPHER_LIST", "", migrate.Decided, "ciphers are not chosen", nil},
	{"confTLS_SRV_OPTIONS", "", migrate.Decided, "certificates of clients are asked for once control/tlsclients is there", nil},
	{"confINPUT_MAIL_FILTERS", "milters", migrate.Carried, "the order of milters", nil},
	{"confMILTER_MACROS_CONNECT", "", migrate.Decided, "milters get the macros that they usually ask for", nil},
	{"confMILTER_MACROS_HELO", "", migrate.Decided, "milters get the macros that they usually ask for", nil},
	{"confMILTER_MACROS_ENVFROM", "", migrate.Decided, "milters get the macros that they usually ask for", nil},
	{"confMILTER_MACROS_ENVRCPT", "", migrate.Decided, "milters get the macros that they usually ask for", nil},
	{"confDEF_USER_ID", "", migrate.Decided, "programs of aliases run as the user alias", nil},
	{"confTRUSTED_USER", "", migrate.Decided, "any user may use any sender, and Received fields say who it was", nil},
	{"confTRUSTED_USERS", "", migrate.Decided, "any user may use any sender, and Received fields say who it was", nil},
	{"confDONT_BLAME_SENDMAIL", "", migrate.Decided, "files that others can write are refused", nil},
	{"confDONT_PROBE_INTERFACES", "", migrate.Decided, "names of this host's addresses are not made local", nil},
	{"confFORWARD_PATH", "dotforward", migrate.Decided, "~/.forward counts where there is no .qmail file (control/dotforward)", nil},
	{"confMAX_HOP", "", migrate.Decided, "100", nil},
	{"confLOG_LEVEL", "", migrate.Decided, "there is one log", nil},
	{"confDOMAIN_NAME_SERVER", "", migrate.Decided, "of the resolver", nil},
	{"confBIND_OPTS", "", migrate.Decided, "of the resolver", nil},
	{"confCW_FILE", "locals", migrate.Carried, "the file of local domains", nil},
	{"confCT_FILE", "", migrate.Decided, "any user may use any sender", nil},
	{"confLOCAL_MAILER", "", migrate.Step, "the argument of qmail-start is what delivers to users", nil},
	{"LOCAL_MAILER_PATH", "", migrate.Step, "the argument of qmail-start is what delivers to users", nil},
	{"LOCAL_MAILER_ARGS", "", migrate.Step, "the argument of qmail-start is what delivers to users", nil},
	{"PROCMAIL_MAILER_PATH", "", migrate.Step, "the argument of qmail-start is what delivers to users: '|preline /usr/bin/procmail'", nil},
	{"STATUS_FILE", "", migrate.Decided, "", nil},
	{"HELP_FILE", "", migrate.Decided, "", nil},
	{"QUEUE_DIR", "", migrate.Step, "let the old queue run empty: sendmail -q", nil},
	{"confPID_FILE", "", migrate.Decided, "", nil},
	{"confRUN_AS_USER", "", migrate.Decided, "each daemon has its own user", nil},
	{"confALLOW_BOGUS_HELO", "", migrate.Decided, "names in HELO are not judged but by control/badhelo", nil},
	{"confCOPY_ERRORS_TO", "", migrate.Lost, "the postmaster gets bounces of bounces, and no other copies", nil},
	{"confDELIVERY_MODE", "", migrate.Decided, "each message is queued, and tried at once", nil},
	{"confME_TOO", "", migrate.Decided, "who sends to a list that he is in gets it", nil},
	{"UUCP_MAILER_MAX", "", migrate.Decided, "there is no UUCP", nil},
}

// features are what FEATURE(`...') names, and macros that stand alone.
var features = []setting{
	{"use_cw_file", "locals", migrate.Carried, "the domains of local-host-names", nil},
	{"virtusertable", "virtualdomains", migrate.Carried, "addresses that lead elsewhere, as .qmail files of alias", nil},
	{"virtuser_entire_domain", "", migrate.Lost, "name domains below others one by one", nil},
	{"mailertable", "smtproutes", migrate.Carried, "routes", nil},
	{"access_db", "tcp.smtp", migrate.Carried, "by its entries: tcp.smtp, rcpthosts, badmailfrom, badmailto", nil},
	{"blacklist_recipients", "badmailto", migrate.Carried, "entries of access count for recipients, too", nil},
	{"blocklist_recipients", "badmailto", migrate.Carried, "entries of access count for recipients, too", nil},
	{"domaintable", "", migrate.Lost, "a domain that is another: a virtual domain with |forward \"$DEFAULT@other\" in its .qmail-default", nil},
	{"genericstable", "", migrate.Lost, "senders are not rewritten: QMAILHOST and QMAILUSER, or control/defaulthost", nil},
	{"generics_entire_domain", "", migrate.Lost, "see genericstable", nil},
	{"always_add_domain", "defaulthost", migrate.Decided, "an address without a domain gets one", nil},
	{"allmasquerade", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"masquerade_envelope", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"masquerade_entire_domain", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"limited_masquerade", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"MASQUERADE_AS", "defaulthost", migrate.Carried, "the domain of what programs of this host send; headers of others' mail stay as they are", masquerade},
	{"MASQUERADE_DOMAIN", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"MASQUERADE_EXCEPTION", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"EXPOSED_USER", "", migrate.Lost, "see MASQUERADE_AS", nil},
	{"redirect", "", migrate.Lost, "user.REDIRECT: |bouncesaying in a .qmail file says where somebody is", nil},
	{"smrsh", "", migrate.Decided, "programs of users run as the users, without rights to gain", nil},
	{"local_procmail", "", migrate.Step, "procmail delivers to users: start qmail-start with '|preline /usr/bin/procmail'", nil},
	{"local_lmtp", "", migrate.Step, "a delivery server: start qmail-start with '+lmtp unix:/path'", nil},
	{"preserve_local_plus_detail", "break", migrate.Decided, "an extension behind a plus is in EXT", nil},
	{"preserve_luser_host", "", migrate.Decided, "the domain is in HOST", nil},
	{"nouucp", "", migrate.Decided, "host!user is an ordinary local part", nil},
	{"nocanonify", "", migrate.Decided, "names are not looked up and replaced", nil},
	{"nullclient", "smtproutes", migrate.Carried, "all mail goes to one host, also that of this one", nullclient},
	{"stickyhost", "", migrate.Decided, "an address without a domain is local", nil},
	{"relay_based_on_MX", "", migrate.Lost, "name the domains for which this host is a backup in control/rcpthosts", nil},
	{"relay_entire_domain", "rcpthosts", migrate.Lost, "name the hosts that may relay in control/tcp.smtp, and domains in control/rcpthosts", nil},
	{"relay_hosts_only", "rcpthosts", migrate.Carried, "domains in relay-domains do not stand for those below them", nil},
	{"relay_local_from", "", migrate.Lost, "whoever says he is of a local domain may relay: that is an open door", nil},
	{"relay_mail_from", "", migrate.Lost, "whoever says he is a certain sender may relay: that is an open door", nil},
	{"promiscuous_relay", "", migrate.Lost, "an open relay: name the networks that may relay in control/tcp.smtp", nil},
	{"loose_relay_check", "", migrate.Decided, "user%host is an ordinary local part", nil},
	{"accept_unqualified_senders", "", migrate.Decided, "senders are not judged but by SPF", nil},
	{"accept_unresolvable_domains", "", migrate.Decided, "senders are not judged but by SPF", nil},
	{"dnsbl", "dnsbllist", migrate.Carried, "lists of addresses in the DNS", dnsbl},
	{"enhdnsbl", "dnsbllist", migrate.Carried, "lists of addresses in the DNS", dnsbl},
	{"dnswl", "dnsbllist", migrate.Carried, "with + in front", dnswl},
	{"require_rdns", "checkrdns", migrate.Carried, "3", func(r *reader, _ call, _ string) { r.site.Set("checkrdns", "3") }},
	{"greet_pause", "greetdelay", migrate.Carried, "in milliseconds there", greetPause},
	{"ratecontrol", "rateconnsmtp", migrate.Carried, "ClientRate: of access", nil},
	{"conncontrol", "concurrencysmtpip", migrate.Carried, "ClientConn: of access", nil},
	{"delay_checks", "", migrate.Decided, "refusals come at the first recipient", nil},
	{"no_default_msa", "smtplisten", migrate.Carried, "port 587 is not served unless DAEMON_OPTIONS says so", nil},
	{"msp", "", migrate.Decided, "sendmail hands mail to qmail-spool without any rights", nil},
	{"authinfo", "remoteauth", migrate.Carried, "logins at relays", nil},
	{"ldap_routing", "", migrate.Lost, "addresses of a directory are not looked up: write them into a table", nil},
	{"lookupdotdomain", "", migrate.Decided, "a line that begins with a dot is for what is below the domain", nil},
	{"compat_check", "", migrate.Lost, "who may write to whom is not decided by a table", nil},
	{"badmx", "", migrate.Decided, "mail for a domain whose mail exchangers are of no use bounces", nil},
	{"DAEMON_OPTIONS", "smtplisten", migrate.Carried, "where mail is taken", nil},
	{"CLIENT_OPTIONS", "outgoingip", migrate.Carried, "the address that connections to others come from", clientOptions},
	{"INPUT_MAIL_FILTER", "milters", migrate.Carried, "milters", milter},
	{"MAIL_FILTER", "milters", migrate.Carried, "a milter, which confINPUT_MAIL_FILTERS puts into use", milter},
	{"LOCAL_DOMAIN", "locals", migrate.Carried, "a local domain", nil},
	{"VIRTUSER_DOMAIN", "virtualdomains", migrate.Carried, "a domain whose addresses are in virtusertable", nil},
	{"VIRTUSER_DOMAIN_FILE", "virtualdomains", migrate.Carried, "a file of such domains", nil},
	{"RELAY_DOMAIN", "rcpthosts", migrate.Carried, "as a line of relay-domains", nil},
	{"RELAY_DOMAIN_FILE", "rcpthosts", migrate.Carried, "the file of relay-domains", nil},
	{"TRUST_AUTH_MECH", "", migrate.Decided, "who has logged in may relay", nil},
	{"LOCAL_USER", "", migrate.Lost, "see MAIL_HUB", nil},
	{"MODIFY_MAILER_FLAGS", "", migrate.Lost, "how mail is handed to each kind of mailer is fixed", nil},
	{"MAILER_DEFINITIONS", "", migrate.Lost, "mailers of one's own: a program is a line in a .qmail file", nil},
	{"LOCAL_RULESETS", "", migrate.Lost, "rules of one's own are not run: say what they are for in tables", nil},
}

// quiet are macros that say nothing about where mail goes.
var quiet = []string{"include", "VERSIONID", "OSTYPE", "DOMAIN", "MAILER", "divert", "undefine", "ifdef", "ifelse", "HACK", "SITECONFIG", "LOCAL_CONFIG", "define", "FEATURE", "nospecial", "class-w-file", "dnl"}

func lookUp(list []setting, name string) (setting, bool) {
	for _, s := range list {
		if s.name == name {
			return s, true
		}
	}
	return setting{}, false
}

func (r *reader) wrong(c call, value string) {
	r.site.Remark(migrate.Lost, r.at(c), value, "this value of %s is not understood", c.args[0])
}

func line(file string) func(*reader, call, string) {
	return func(r *reader, _ call, value string) { r.site.Set(file, value) }
}

func number(file string) func(*reader, call, string) {
	return func(r *reader, c call, value string) {
		if n, err := strconv.Atoi(value); err == nil && n >= 0 {
			r.site.Set(file, strconv.Itoa(n))
		} else {
			r.wrong(c, value)
		}
	}
}

func blocks(r *reader, c call, value string) {
	if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < 1<<40 {
		r.site.Set("queueminfree", strconv.Itoa(n*1024))
	} else {
		r.wrong(c, value)
	}
}

func throttle(r *reader, c call, value string) {
	number("tarpiterrors")(r, c, value)
	r.site.Set("tarpitdelay", "1")
}

// seconds reads a time such as 5d, 1h30m, or a number of a unit.
func seconds(value, unit string) (total int, ok bool) {
	factor := map[byte]int{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}
	n, digits := 0, false
	for i := range len(value) {
		switch c := value[i]; {
		case '0' <= c && c <= '9' && n < 1<<24:
			n, digits = n*10+int(c-'0'), true
		case digits && factor[c] > 0:
			total += n * factor[c]
			n, digits = 0, false
		default:
			return 0, false
		}
	}
	if digits {
		total += n * factor[unit[0]]
	}
	return total, value != "" && total >= 0
}

func duration(file, unit string) func(*reader, call, string) {
	return func(r *reader, c call, value string) {
		if n, ok := seconds(value, unit); ok {
			r.site.Set(file, strconv.Itoa(n))
		} else {
			r.wrong(c, value)
		}
	}
}

func timeout(step string) func(*reader, call, string) {
	return func(r *reader, c call, value string) {
		if n, ok := seconds(value, "m"); ok {
			r.site.Add("remotetimeouts", step+":"+strconv.Itoa(n))
		} else {
			r.wrong(c, value)
		}
	}
}

func masquerade(r *reader, c call, _ string) {
	if len(c.args) > 0 && c.args[0] != "" {
		r.site.Set("defaulthost", strings.TrimSuffix(c.args[0], "."))
	}
}

func nullclient(r *reader, c call, _ string) {
	if len(c.args) > 1 {
		r.smart, r.null = c.args[1], true
	}
}

func dnsbl(r *reader, c call, _ string) {
	if len(c.args) > 1 {
		r.site.Add("dnsbllist", "-"+c.args[1])
	}
}

func dnswl(r *reader, c call, _ string) {
	if len(c.args) > 1 {
		r.site.Add("dnsbllist", "+"+c.args[1])
	}
}

func greetPause(r *reader, c call, _ string) {
	if len(c.args) < 2 {
		return
	}
	if n, err := strconv.Atoi(c.args[1]); err == nil && n >= 0 {
		r.site.Set("greetdelay", strconv.Itoa(min((n+999)/1000, 60)))
	} else {
		r.wrong(c, c.args[1])
	}
}

// options are Name=value with commas between them, names by their first letter.
func options(text string) map[byte]string {
	all := map[byte]string{}
	for _, word := range strings.Split(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(word), "=")
		if found && name != "" {
			all[name[0]|0x20] = strings.TrimSpace(value)
		}
	}
	return all
}

func clientOptions(r *reader, c call, _ string) {
	if len(c.args) == 0 {
		return
	}
	if addr := options(c.args[0])['a']; addr != "" {
		r.site.Add("outgoingip", addr)
	}
}

// milter is INPUT_MAIL_FILTER(`name', `S=inet:port@host, F=T').
func milter(r *reader, c call, _ string) {
	if len(c.args) < 2 {
		return
	}
	var words []string
	for _, w := range strings.Split(c.args[1], ",") {
		words = append(words, strings.TrimSpace(w))
	}
	server, fallback := "", " accept"
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "S="):
			server = w[2:]
		case w == "F=T":
			fallback = ""
		case w == "F=R":
			fallback = " reject"
		}
	}
	kind, rest, _ := strings.Cut(server, ":")
	if port, host, at := strings.Cut(rest, "@"); kind == "inet" && at {
		rest = host + ":" + port
	}
	switch {
	case kind == "inet" && strings.Contains(rest, ":"):
		r.site.Add("milters", "inet:"+rest+fallback)
	case (kind == "unix" || kind == "local") && strings.HasPrefix(rest, "/"):
		r.site.Add("milters", "unix:"+rest+fallback)
	case strings.HasPrefix(server, "/"):
		r.site.Add("milters", "unix:"+server+fallback)
	default:
		r.site.Remark(migrate.Lost, r.at(c), server, "this is no address of a milter that is understood")
	}
}
