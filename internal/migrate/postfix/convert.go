package postfix

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/migrate"
)

// take is what parameter.take is.
type take = func(r *reader, s setting, value string)

// most is the largest value of control files that have one.
var most = map[string]int{"tarpitdelay": 60, "greetdelay": 60}

func line(r *reader, s setting, value string) {
	if value == "" {
		return
	}
	if s.file == "outgoingip" {
		r.site.Add(s.file, value)
	} else {
		r.site.Set(s.file, value)
	}
}

func (r *reader) wrong(s setting, err error) {
	r.site.Remark(migrate.Lost, s.where, s.name+" = "+short(s.value), "%v", err)
}

func number(r *reader, s setting, value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		r.wrong(s, fmt.Errorf("%q is no number", value))
		return
	}
	if s.name == "default_process_limit" && n == 0 {
		return // no limit of Postfix's own; ours stays
	}
	r.site.Set(s.file, strconv.Itoa(n))
}

// hourly is a rate that Postfix counts in a minute.
func hourly(r *reader, s setting, value string) {
	n, err := strconv.Atoi(value)
	unit, err2 := seconds(r.main.get("anvil_rate_time_unit"), "s")
	if err2 != nil || unit == 0 {
		unit = 60
	}
	if err != nil || n < 0 || n > 1<<30 {
		r.wrong(s, fmt.Errorf("%q is no number", value))
		return
	}
	r.site.Set(s.file, strconv.Itoa(n*3600/unit))
}

func duration(unit string) take {
	return func(r *reader, s setting, value string) {
		n, err := seconds(value, unit)
		if err != nil {
			r.wrong(s, err)
			return
		}
		if limit := most[s.file]; limit > 0 {
			n = min(n, limit)
		}
		r.site.Set(s.file, strconv.Itoa(n))
	}
}

// step is the time limit of a step of a session.
func step(name string) take {
	return func(r *reader, s setting, value string) {
		n, err := seconds(value, "s")
		if err != nil {
			r.wrong(s, err)
			return
		}
		r.site.Add("remotetimeouts", name+":"+strconv.Itoa(n))
	}
}

// backoff makes a schedule that doubles from the first time to the last.
func backoff(r *reader, s setting, value string) {
	first, err := seconds(value, "s")
	last, err2 := seconds(r.main.get("maximal_backoff_time"), "s")
	if !r.main.isSet("maximal_backoff_time") {
		last, err2 = 4000, nil
	}
	if err != nil || err2 != nil || first == 0 || last < first {
		r.wrong(s, fmt.Errorf("the times between attempts are not understood"))
		return
	}
	var times []string
	for t := first; ; t *= 2 {
		times = append(times, fmt.Sprintf("%ds", min(t, last)))
		if t >= last {
			break
		}
	}
	r.site.Add("retryrules", "* * "+strings.Join(times, " "))
}

func origin(r *reader, s setting, _ string) {
	_, name := migrate.Split(r.qualified("x"))
	if name == "" {
		r.wrong(s, fmt.Errorf("which domain it is cannot be told"))
		return
	}
	r.site.Set("defaulthost", name)
	r.site.Set("envnoathost", name)
}

// breakChars is what may be between a user and an extension: bytes that can be no
// part of a file's name in another sense are no such.
func breakChars(r *reader, s setting, value string) {
	if value == "" {
		return
	}
	if len(value) > 8 || strings.ContainsFunc(value, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '.' || c == '/' || c == ':' || c == '@' || isNameByte(c) && c != '_'
	}) {
		r.wrong(s, fmt.Errorf("control/break takes up to 8 characters, and no letters, digits, dots, slashes, colons"))
		return
	}
	r.site.Set("break", value)
}

func canonical(r *reader, s setting, _ string) {
	r.site.Remark(migrate.Lost, s.where, s.name, "senders are not rewritten; recipients are only in domains that are hosted here")
}

func verify(r *reader, s setting, value string) {
	if value == "" {
		r.site.Set("verifyrcpt", "0")
	}
}

func verifyYes(r *reader, s setting, value string) {
	if value == "no" {
		r.site.Set("verifyrcpt", "0")
	}
}

func banner(r *reader, _ setting, value string) {
	words := strings.Fields(value)
	var kept []string
	for _, w := range words {
		if w != "ESMTP" && w != "SMTP" {
			kept = append(kept, w)
		}
	}
	if len(kept) > 0 {
		r.site.Set("smtpgreeting", strings.Join(kept, " "))
	}
}

func double(r *reader, s setting, value string) {
	local, domain := migrate.Split(r.qualified(value))
	r.site.Set("doublebounceto", local)
	r.site.Set("doublebouncehost", domain)
}

// milters are named inet:host:port, unix:/path, or inet:port@host.
func milters(r *reader, s setting, value string) {
	fallback := map[string]string{"accept": " accept", "reject": " reject"}[r.main.get("milter_default_action")]
	for _, word := range words(value) {
		if inner, braces := inBraces(word); braces {
			word, _, _ = strings.Cut(inner, ",")
		}
		kind, rest, _ := strings.Cut(strings.TrimSpace(word), ":")
		if port, host, at := strings.Cut(rest, "@"); kind == "inet" && at {
			rest = host + ":" + port
		}
		switch {
		case kind == "inet" && strings.Contains(rest, ":"):
			r.site.Add("milters", "inet:"+rest+fallback)
		case (kind == "unix" || kind == "local") && strings.HasPrefix(rest, "/"):
			r.site.Add("milters", "unix:"+rest+fallback)
		case kind == "unix" || kind == "local":
			r.site.Add("milters", "unix:"+r.main.get("queue_directory")+"/"+rest+fallback)
			r.site.Remark(migrate.Step, s.where, word, "its socket is in the queue directory of Postfix: have the milter make it elsewhere, where the user qmailf may connect")
		default:
			r.site.Remark(migrate.Lost, s.where, word, "this is no address of a milter that is understood")
		}
	}
}

func hosts(r *reader, s setting, _ string) {
	err := r.networks(s.name, func(i item, n string) {
		if !i.not {
			r.site.Add("xclienthosts", n)
		}
	}, func(i item, why string) { r.site.Remark(migrate.Lost, i.where, i.word, "%s", why) })
	if err != nil {
		r.wrong(s, err)
	}
}

// postscreenLists are zone=answers*weight.
func postscreenLists(r *reader, s setting, value string) {
	for _, word := range words(value) {
		site, weight, _ := strings.Cut(word, "*")
		sign := "-"
		if strings.HasPrefix(weight, "-") {
			sign = "+"
		}
		r.dnsList(s, word, sign, site)
	}
}

// dnsList adds a list in the DNS, zone or zone=answers.
func (r *reader) dnsList(s setting, word, sign, site string) {
	zone, answers, _ := strings.Cut(site, "=")
	if answers == "" {
		r.site.Add("dnsbllist", sign+zone)
		return
	}
	codes, ok := dnsCodes(answers)
	if !ok {
		r.site.Add("dnsbllist", sign+zone)
		r.site.Remark(migrate.Lost, s.where, word, "of the answers of this list all count: write those that do as 127.0.0.2-11")
		return
	}
	r.site.Add("dnsbllist", sign+zone+"="+codes)
}

// dnsCodes are answers such as 127.0.0.[2..11;14] as control/dnsbllist has them. Of
// those in which another number than the last is not one alone, ok is false.
func dnsCodes(answers string) (codes string, ok bool) {
	at := strings.LastIndexByte(answers, '.')
	if open := strings.IndexByte(answers, '['); open >= 0 {
		at = open - 1
	}
	if at < 0 || answers[at] != '.' {
		return "", false
	}
	last := answers[at+1:]
	if inner, open := strings.CutPrefix(last, "["); open {
		if last, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", false
		}
	}
	var all []string
	for _, part := range strings.Split(last, ";") {
		first, end, isRange := strings.Cut(part, "..")
		low, err := netip.ParseAddr(answers[:at+1] + first)
		high := low
		if isRange && err == nil {
			high, err = netip.ParseAddr(answers[:at+1] + end)
		}
		if err != nil || high.Less(low) {
			return "", false
		}
		if code := low.String(); isRange {
			all = append(all, code+"-"+end)
		} else {
			all = append(all, code)
		}
	}
	return strings.Join(all, ","), true
}

func tlsKey(r *reader, s setting, value string) {
	key := r.main.get("smtpd_tls_key_file")
	if key == "" || key == value || key == "$smtpd_tls_cert_file" {
		return
	}
	r.site.Remark(migrate.Step, s.where, s.name, "(umask 077; cat %s %s > servercert.pem)", key, value)
}

func tlsLevelIn(r *reader, s setting, value string) {
	if value == "encrypt" {
		r.site.Remark(migrate.Lost, s.where, s.name+" = "+value, "clients that speak no TLS are not turned away")
	}
}

// levels are those of smtp_tls_security_level as control/tlspolicy has them.
var levels = map[string]string{
	"none": "none", "may": "may", "encrypt": "encrypt", "dane": "dane", "dane-only": "dane-only",
	"verify": "verify", "secure": "verify",
}

func tlsLevelOut(r *reader, s setting, value string) {
	level, known := levels[value]
	switch {
	case value == "":
	case !known:
		r.site.Remark(migrate.Lost, s.where, s.name+" = "+value, "fingerprints are of keys here, and by domain: control/tlspolicy, level pin")
	default:
		r.site.Add("tlspolicy", ":"+level)
	}
}

func tlsEnforce(r *reader, _ setting, value string) {
	if value == "yes" && r.main.get("smtp_tls_security_level") == "" {
		r.site.Add("tlspolicy", ":encrypt")
	}
}

// tlsPolicies are the lines of smtp_tls_policy_maps.
func tlsPolicies(r *reader, s setting, _ string) {
	for _, t := range r.maps(s.name) {
		if !r.readable(t, s.name) {
			continue
		}
		for _, e := range t.entries {
			if entry, why := tlsPolicy(e); why != "" {
				r.site.Remark(migrate.Lost, e.where, e.key+" "+e.value, "%s", why)
			} else {
				r.site.Add("tlspolicy", entry)
			}
		}
	}
}

func tlsPolicy(e entry) (entry, why string) {
	fields := strings.FieldsFunc(e.value, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' })
	if strings.ContainsAny(e.key, "[]:") {
		return "", "this is of a relay: control/tlspolicy goes by the domain of the recipient"
	}
	if len(fields) == 0 || levels[fields[0]] == "" {
		return "", "this level is not carried over: control/tlspolicy has none, may, encrypt, verify, pin, dane, dane-only"
	}
	entry = e.key + ":" + levels[fields[0]]
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		switch {
		case name == "match" && levels[fields[0]] == "verify" && value != "nexthop" && value != "hostname":
			for _, n := range strings.Split(value, ":") {
				if n == "dot-nexthop" {
					n = "." + strings.TrimPrefix(e.key, ".")
				}
				if n != "nexthop" && n != "hostname" {
					entry += " " + n
				}
			}
		case name == "protocols" || name == "ciphers" || name == "exclude" || name == "match" || name == "servername":
		default:
			return "", f + " is not understood"
		}
	}
	return entry, ""
}
