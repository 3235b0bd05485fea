package postfix

import (
	"strings"

	"postrider/internal/migrate"
)

// restriction is what becomes of a word of smtpd_..._restrictions.
type restriction struct {
	word string
	arg  bool // the next word is its own
	kind migrate.Kind
	text string
	take func(r *reader, s setting, arg string)
}

// words of restrictions, as docs/migrate-from-postfix.md has them.
var restrictionWords = []restriction{
	{"permit", false, migrate.Decided, "nothing is permitted that rcpthosts and tcp.smtp do not allow", nil},
	{"permit_mynetworks", false, migrate.Carried, "RELAYCLIENT in control/tcp.smtp", nil},
	{"permit_sasl_authenticated", false, migrate.Carried, "who has logged in may relay", nil},
	{"permit_tls_clientcerts", false, migrate.Step, "control/tlsclients and clientca.pem", nil},
	{"permit_auth_destination", false, migrate.Carried, "control/rcpthosts", nil},
	{"permit_mx_backup", false, migrate.Lost, "name the domains for which this host is a backup in control/rcpthosts", nil},
	{"permit_dnswl_client", true, migrate.Carried, "control/dnsbllist, with + in front", func(r *reader, s setting, arg string) { r.dnsList(s, arg, "+", arg) }},
	{"reject", false, migrate.Carried, "at port 587: the word submission in control/smtplisten", nil},
	{"defer", false, migrate.Lost, "there is no such switch", nil},
	{"reject_unauth_destination", false, migrate.Carried, "control/rcpthosts", nil},
	{"defer_unauth_destination", false, migrate.Carried, "control/rcpthosts; such mail is refused for good", nil},
	{"reject_unlisted_recipient", false, migrate.Carried, "control/verifyrcpt", nil},
	{"reject_unverified_recipient", false, migrate.Lost, "other hosts are not asked whether an address exists", nil},
	{"reject_unverified_sender", false, migrate.Lost, "other hosts are not asked whether an address exists", nil},
	{"reject_unlisted_sender", false, migrate.Lost, "senders of domains here are not looked up", nil},
	{"reject_rbl_client", true, migrate.Carried, "control/dnsbllist", func(r *reader, s setting, arg string) { r.dnsList(s, arg, "-", arg) }},
	{"reject_rhsbl_client", true, migrate.Lost, "lists are asked about addresses of clients, not about names", nil},
	{"reject_rhsbl_sender", true, migrate.Lost, "lists are asked about addresses of clients, not about names", nil},
	{"reject_rhsbl_helo", true, migrate.Lost, "lists are asked about addresses of clients, not about names", nil},
	{"reject_rhsbl_reverse_client", true, migrate.Lost, "lists are asked about addresses of clients, not about names", nil},
	{"reject_unknown_reverse_client_hostname", false, migrate.Carried, "control/checkrdns is 2", func(r *reader, _ setting, _ string) { r.rdns("2") }},
	{"reject_unknown_client_hostname", false, migrate.Carried, "control/checkrdns is 3", func(r *reader, _ setting, _ string) { r.rdns("3") }},
	{"reject_unknown_client", false, migrate.Carried, "control/checkrdns is 3", func(r *reader, _ setting, _ string) { r.rdns("3") }},
	{"reject_invalid_helo_hostname", false, migrate.Lost, "names in HELO are not judged but by control/badhelo", nil},
	{"reject_non_fqdn_helo_hostname", false, migrate.Lost, "names in HELO are not judged but by control/badhelo", nil},
	{"reject_unknown_helo_hostname", false, migrate.Lost, "names in HELO are not judged but by control/badhelo", nil},
	{"reject_invalid_hostname", false, migrate.Lost, "names in HELO are not judged but by control/badhelo", nil},
	{"reject_non_fqdn_hostname", false, migrate.Lost, "names in HELO are not judged but by control/badhelo", nil},
	{"reject_non_fqdn_sender", false, migrate.Lost, "a sender's domain is not judged but by SPF (control/spfbehavior)", nil},
	{"reject_unknown_sender_domain", false, migrate.Lost, "a sender's domain is not judged but by SPF (control/spfbehavior)", nil},
	{"reject_non_fqdn_recipient", false, migrate.Decided, "a domain that is not in rcpthosts is refused", nil},
	{"reject_unknown_recipient_domain", false, migrate.Decided, "a domain that is not in rcpthosts is refused; of clients that may relay, mail for one that does not exist bounces", nil},
	{"reject_unauth_pipelining", false, migrate.Decided, "who talks before the greeting is refused with control/greetdelay", nil},
	{"reject_sender_login_mismatch", false, migrate.Lost, "who has logged in may use any sender", nil},
	{"reject_authenticated_sender_login_mismatch", false, migrate.Lost, "who has logged in may use any sender", nil},
	{"reject_multi_recipient_bounce", false, migrate.Lost, "a bounce may have several recipients", nil},
	{"reject_plaintext_session", false, migrate.Lost, "clients that speak no TLS are not turned away", nil},
	{"check_policy_service", true, migrate.Lost, "policy services are not asked; greylist and spfbehavior do what most of them do", nil},
	{"check_client_access", true, migrate.Carried, "control/tcp.smtp", (*reader).clientAccess},
	{"check_sender_access", true, migrate.Carried, "control/badmailfrom", access("badmailfrom")},
	{"check_recipient_access", true, migrate.Carried, "control/badmailto", access("badmailto")},
	{"check_helo_access", true, migrate.Carried, "control/badhelo", access("badhelo")},
	{"check_sender_mx_access", true, migrate.Lost, "mail exchangers of senders are not looked at", nil},
	{"check_sender_ns_access", true, migrate.Lost, "name servers of senders are not looked at", nil},
	{"check_recipient_mx_access", true, migrate.Lost, "mail exchangers of recipients are not looked at", nil},
	{"check_helo_mx_access", true, migrate.Lost, "mail exchangers of names in HELO are not looked at", nil},
	{"check_reverse_client_hostname_access", true, migrate.Lost, "rules go by addresses", nil},
	{"check_sasl_access", true, migrate.Lost, "rules go by addresses", nil},
	{"warn_if_reject", false, migrate.Lost, "nothing is tried out in the log, but for a list with = in control/dnsbllist: what follows is carried over as if it refused", nil},
	{"sleep", true, migrate.Carried, "control/greetdelay", func(r *reader, s setting, arg string) {
		duration("s")(r, setting{name: s.name + ": sleep", value: arg, where: s.where, file: "greetdelay"}, arg)
	}},
}

// restrictions goes through a list of them.
func restrictions(r *reader, s setting, value string) {
	list := words(value)
	for i := 0; i < len(list); i++ {
		word, found := restrictionCalled(list[i])
		if !found {
			r.site.Remark(migrate.Lost, s.where, s.name+": "+list[i], "this word is not understood; a class of restrictions, or a table alone, has no equivalent")
			continue
		}
		what, arg := word.word, ""
		if word.arg && i+1 < len(list) {
			i++
			arg = list[i]
			what += " " + arg
		}
		r.site.Remark(word.kind, s.where, s.name+": "+what, "%s", word.text)
		if word.take != nil {
			word.take(r, s, arg)
		}
	}
}

func restrictionCalled(name string) (restriction, bool) {
	for _, w := range restrictionWords {
		if w.word == strings.ToLower(name) {
			return w, true
		}
	}
	return restriction{}, false
}

// rdns sets checkrdns to the stricter of two.
func (r *reader) rdns(level string) {
	if old := r.site.Control["checkrdns"]; len(old) == 0 || old[0] < level {
		r.site.Set("checkrdns", level)
	}
}

// refuses tells whether the right-hand side of access(5) refuses.
func refuses(value string) bool {
	action, _, _ := strings.Cut(value, " ")
	action = strings.ToUpper(action)
	return action == "REJECT" || action == "DEFER" || len(action) == 3 && (action[0] == '4' || action[0] == '5') && strings.Trim(action, "0123456789") == ""
}

// neutral tells whether it says nothing.
func neutral(value string) bool {
	action, _, _ := strings.Cut(value, " ")
	return strings.EqualFold(action, "DUNNO")
}

// access makes a list of what a table refuses.
func access(file string) func(r *reader, s setting, arg string) {
	return func(r *reader, s setting, arg string) {
		t := r.table(arg)
		if !r.readable(t, s.name) {
			return
		}
		for _, e := range t.entries {
			key := e.key
			if file != "badhelo" && !strings.Contains(key, "@") {
				key = "@" + key
			}
			switch {
			case neutral(e.value):
			case !refuses(e.value):
				r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "control/%s only refuses; what is let through before other restrictions has no equivalent", file)
			case strings.HasSuffix(key, "@") || strings.HasPrefix(key, "@."):
				r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "control/%s takes addresses and whole domains", file)
			default:
				r.site.Add(file, key)
			}
		}
	}
}

// clientAccess makes rules of a table of clients.
func (r *reader) clientAccess(s setting, arg string) {
	t := r.table(arg)
	if !r.readable(t, s.name) {
		return
	}
	for _, e := range t.entries {
		n, isNetwork := network(e.key)
		if !isNetwork && strings.Trim(e.key, "0123456789.") == "" {
			n, isNetwork = strings.TrimSuffix(e.key, ".")+".", true
		}
		switch {
		case neutral(e.value):
		case isNetwork && refuses(e.value):
			r.rules = append(r.rules, n+":deny")
		case isNetwork && strings.EqualFold(e.value, "OK"):
			r.exempt = append(r.exempt, n)
			r.site.Remark(migrate.Decided, e.where, e.key+" "+e.value, "no list, no name, no SPF and no greylist is asked about this client; it may relay only if mynetworks has it")
		default:
			r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "rules of control/tcp.smtp go by addresses of clients, allow or deny")
		}
	}
}
