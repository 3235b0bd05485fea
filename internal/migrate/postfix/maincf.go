package postfix

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"postrider/internal/migrate"
)

// setting is a parameter as main.cf has it.
type setting struct {
	name  string
	value string // before anything is put in place of $name
	where migrate.Where
	file  string // the control file that has it
}

// mainCF is what main.cf says.
type mainCF struct {
	file   string
	set    map[string]setting
	order  []string // names as they come first
	host   string   // of the machine
	broken []migrate.Remark
}

// parseMain reads main.cf. The last of two lines for a parameter counts.
func parseMain(text, file, host string) *mainCF {
	m := &mainCF{file: file, set: map[string]setting{}, host: host}
	for _, l := range logicalLines(text) {
		where := migrate.Where{File: file, Line: l.line}
		name, value, found := strings.Cut(l.text, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			m.broken = append(m.broken, migrate.Remark{Kind: migrate.Lost, Where: where, What: short(l.text), Text: "this is no line of main.cf: name = value"})
			continue
		}
		if _, twice := m.set[name]; !twice {
			m.order = append(m.order, name)
		}
		m.set[name] = setting{name: name, value: strings.TrimSpace(value), where: where}
	}
	return m
}

func short(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// defaults are the values of parameters that main.cf does not have, where
// something here depends on them (postconf(5)).
var defaults = map[string]string{
	"myorigin":                       "$myhostname",
	"mydestination":                  "$myhostname, localhost.$mydomain, localhost",
	"alias_maps":                     "hash:/etc/aliases",
	"virtual_alias_maps":             "$virtual_maps",
	"virtual_alias_domains":          "$virtual_alias_maps",
	"virtual_mailbox_domains":        "$virtual_mailbox_maps",
	"virtual_transport":              "virtual",
	"local_transport":                "local:$myhostname",
	"relay_transport":                "relay",
	"default_transport":              "smtp",
	"propagate_unmatched_extensions": "canonical, virtual",
	"parent_domain_matches_subdomains": "debug_peer_list, fast_flush_domains, mynetworks, " +
		"permit_mx_backup_networks, qmqpd_authorized_clients, relay_domains, smtpd_access_maps",
	"queue_directory":       "/var/spool/postfix",
	"config_directory":      "/etc/postfix",
	"inet_interfaces":       "all",
	"message_size_limit":    "10240000",
	"mail_name":             "Postfix",
	"default_database_type": "hash",
}

// raw returns a parameter before expansion.
func (m *mainCF) raw(name string) string {
	if s, found := m.set[name]; found {
		return s.value
	}
	switch name {
	case "myhostname":
		if strings.Contains(m.host, ".") {
			return m.host
		}
		return m.host + "." + m.domainOf(m.host)
	case "mydomain":
		return m.domainOf(m.get("myhostname"))
	}
	return defaults[name]
}

func (m *mainCF) domainOf(host string) string {
	if _, domain, found := strings.Cut(host, "."); found {
		return domain
	}
	return "localdomain"
}

// get returns a parameter with everything in its place, or nothing if that
// cannot be told.
func (m *mainCF) get(name string) string {
	value, _ := m.value(name)
	return value
}

func (m *mainCF) value(name string) (string, error) {
	x := &expansion{main: m, budget: maxExpanded}
	value, err := x.expand(m.raw(name), 0)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(value), nil
}

func (m *mainCF) yes(name string) bool { return m.get(name) == "yes" }

func (m *mainCF) isSet(name string) bool { return m.set[name].name != "" }

func (m *mainCF) where(name string) migrate.Where { return m.set[name].where }

const (
	maxExpanded = 4 << 20 // bytes that the expansion of one value makes in all
	maxNested   = 40
)

var (
	errExpression = errors.New("an expression in ${...} that is not understood")
	errTooMuch    = errors.New("parameters that name one another without an end")
)

// expansion puts values in place of names.
type expansion struct {
	main   *mainCF
	budget int
}

// expand handles $$, $name, $(name), ${name}, ${name?text}, ${name:text} and
// ${name?{text}:{text}}.
func (x *expansion) expand(value string, depth int) (string, error) {
	if x.budget -= len(value); depth > maxNested || x.budget < 0 {
		return "", errTooMuch
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(value, "$")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case rest == "":
			return b.String(), errExpression
		case rest[0] == '$':
			b.WriteByte('$')
			value = rest[1:]
			continue
		}
		inner, after, err := macro(rest)
		if err != nil {
			return "", err
		}
		text, err := x.evaluate(inner, depth)
		if err != nil {
			return "", err
		}
		if b.Len()+len(text) > maxExpanded {
			return "", errTooMuch
		}
		b.WriteString(text)
		value = after
	}
}

// macro cuts off what follows a dollar sign.
func macro(rest string) (inner, after string, err error) {
	closing := map[byte]byte{'{': '}', '(': ')'}[rest[0]]
	if closing == 0 {
		end := strings.IndexFunc(rest, func(r rune) bool { return !isNameByte(r) })
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return "", "", errExpression
		}
		return rest[:end], rest[end:], nil
	}
	depth := 0
	for i := range len(rest) {
		switch rest[i] {
		case rest[0]:
			depth++
		case closing:
			if depth--; depth == 0 {
				return rest[1:i], rest[i+1:], nil
			}
		}
	}
	return "", "", errExpression
}

func isNameByte(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
}

func (x *expansion) evaluate(inner string, depth int) (string, error) {
	inner = strings.TrimSpace(inner)
	end := strings.IndexFunc(inner, func(r rune) bool { return !isNameByte(r) })
	if end < 0 {
		return x.expand(x.main.raw(inner), depth+1)
	}
	name, rest := inner[:end], strings.TrimSpace(inner[end:])
	if name == "" || rest == "" || rest[0] != '?' && rest[0] != ':' {
		return "", errExpression
	}
	value, err := x.expand(x.main.raw(name), depth+1)
	if err != nil {
		return "", err
	}
	whenSet, whenNot := rest[1:], ""
	if rest[0] == ':' {
		whenSet, whenNot = "", rest[1:]
	} else if set := strings.TrimSpace(whenSet); strings.HasPrefix(set, "{") {
		if text, after, err := macro(set); err == nil {
			whenSet, whenNot = "{"+text+"}", strings.TrimPrefix(strings.TrimSpace(after), ":")
		}
	}
	chosen := whenNot
	if value != "" {
		chosen = whenSet
	}
	if text, found := inBraces(chosen); found {
		chosen = text
	}
	return x.expand(chosen, depth+1)
}

// seconds reads a time: a number with one of s, m, h, d, w behind it, or of the
// unit that the parameter has without one.
func seconds(value, unit string) (int, error) {
	digits := strings.TrimRight(value, "smhdw")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || len(value)-len(digits) > 1 {
		return 0, fmt.Errorf("%q is no time", value)
	}
	if digits != value {
		unit = value[len(digits):]
	}
	factor := map[string]int{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
	if n > (1<<31)/factor {
		return 0, fmt.Errorf("%q is more than any time here", value)
	}
	return n * factor, nil
}

// path is the name of a file that a parameter has: a relative one is below the
// directory of main.cf.
func (m *mainCF) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join(path.Dir(m.file), name)
}
