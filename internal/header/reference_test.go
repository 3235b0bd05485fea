package header

import (
	"slices"
	"strings"
	"testing"

	"postrider/internal/address"
)

// A reference reads an address list by the grammar of RFC 5322 section 3.4, and
// that of section 4.4, by recursive descent: each rule is a function that
// returns what it has read and whether that was the rule; if not, the caller
// goes back. It is a second implementation, which shares nothing with the Parser.
//
// Beyond the grammar it knows what we print: "<>", and an address that is a
// local part alone. With printed set, a phrase may hold "@" and [literals], too.
type reference struct {
	text    string
	pos     int
	printed bool
	addrs   []string
}

// list: address-list, with empty members (obs-addr-list).
func (r *reference) list() bool {
	for {
		r.cfws()
		switch {
		case r.pos == len(r.text):
			return true
		case r.take(","):
			continue
		case !r.group() && !r.mailbox():
			return false
		}
		if r.pos < len(r.text) && r.text[r.pos] != ',' {
			return false
		}
	}
}

// group: display-name ":" [group-list] ";" [CFWS].
func (r *reference) group() bool {
	start, had := r.pos, len(r.addrs)
	if r.phrase() && r.take(":") {
		for {
			r.cfws()
			if r.take(";") {
				r.cfws()
				return true
			}
			if !r.take(",") && !(r.mailbox() && r.pos < len(r.text) && (r.text[r.pos] == ',' || r.text[r.pos] == ';')) {
				break
			}
		}
	}
	r.pos, r.addrs = start, r.addrs[:had]
	return false
}

// mailbox: name-addr / addr-spec.
func (r *reference) mailbox() bool {
	start := r.pos
	if r.phrase(); r.angle() {
		return true
	}
	r.pos = start
	if r.angle() {
		return true
	}
	r.pos = start
	a, ok := r.addrSpec()
	if ok {
		r.addrs = append(r.addrs, a)
	} else {
		r.pos = start
	}
	return ok
}

// angle: [CFWS] "<" [obs-route] addr-spec ">" [CFWS].
func (r *reference) angle() bool {
	r.cfws()
	if !r.take("<") {
		return false
	}
	start := r.pos
	if r.cfws(); r.take(">") {
		r.addrs = append(r.addrs, "")
		r.cfws()
		return true
	}
	if r.pos = start; !r.route() {
		r.pos = start
	}
	a, ok := r.addrSpec()
	if !ok || !r.take(">") {
		return false
	}
	r.addrs = append(r.addrs, a)
	r.cfws()
	return true
}

// route: "@" domain *("," [CFWS] ["@" domain]) ":". In the grammar a route may
// begin with commas, which no Parser takes.
func (r *reference) route() bool {
	r.cfws()
	for {
		if !r.take("@") {
			return false
		}
		if _, ok := r.domain(); !ok {
			return false
		}
		for r.cfws(); r.take(","); r.cfws() {
		}
		if r.take(":") {
			return true
		}
	}
}

// phrase: word *(word / "." / CFWS).
func (r *reference) phrase() bool {
	start := r.pos
	for first := true; ; first = false {
		here := r.pos
		if _, ok := r.word(); ok {
			continue
		}
		r.cfws()
		_, literal := "", false
		if r.printed {
			_, literal = r.literal()
		}
		if literal || r.printed && r.take("@") || (r.printed || !first) && r.take(".") {
			continue
		}
		r.pos = here
		return r.pos > start
	}
}

// addrSpec: local-part "@" domain.
func (r *reference) addrSpec() (string, bool) {
	local, ok := r.dotted(r.word)
	if !ok {
		return "", false
	}
	if !r.take("@") {
		return local, local != ""
	}
	domain, ok := r.domain()
	return local + "@" + domain, ok
}

func (r *reference) domain() (string, bool) {
	start := r.pos
	r.cfws()
	if text, ok := r.literal(); ok {
		r.cfws()
		return text, true
	}
	r.pos = start
	return r.dotted(r.atom)
}

// dotted: rule *("." rule).
func (r *reference) dotted(rule func() (string, bool)) (string, bool) {
	text, ok := rule()
	for ok && r.take(".") {
		var more string
		more, ok = rule()
		text += "." + more
	}
	return text, ok
}

// word: atom / quoted-string.
func (r *reference) word() (string, bool) {
	start := r.pos
	if text, ok := r.atom(); ok {
		return text, true
	}
	r.pos = start
	r.cfws()
	text, ok := r.delimited('"', '"')
	if ok {
		r.cfws()
	} else {
		r.pos = start
	}
	return text, ok
}

// atom: [CFWS] 1*atext [CFWS], with UTF-8 and what has been there before it.
func (r *reference) atom() (string, bool) {
	before := r.pos
	r.cfws()
	start := r.pos
	for r.pos < len(r.text) && r.text[r.pos] > ' ' && r.text[r.pos] != 0x7f && !strings.ContainsRune(`()<>[]:;@\,."`, rune(r.text[r.pos])) {
		r.pos++
	}
	text := r.text[start:r.pos]
	if text == "" {
		r.pos = before
		return "", false
	}
	r.cfws()
	return text, true
}

// literal: "[" *dtext "]". What it holds stands as it is.
func (r *reference) literal() (string, bool) {
	start := r.pos
	_, ok := r.delimited('[', ']')
	return r.text[start:r.pos], ok
}

// delimited reads what stands between two marks, without backslashes and line
// ends (sections 3.2.1, 3.2.2 and 4.1).
func (r *reference) delimited(left, right byte) (string, bool) {
	start := r.pos
	text := ""
	if r.take(string(left)) {
		for r.pos < len(r.text) {
			c := r.text[r.pos]
			r.pos++
			switch {
			case c == right:
				return text, true
			case c == left && !r.printed || c == '\r' || c == 0:
				r.pos = start
				return "", false
			case c == '\\':
				if r.pos == len(r.text) || strings.IndexByte("\r\n\x00", r.text[r.pos]) >= 0 {
					r.pos = start
					return "", false
				}
				text += r.text[r.pos : r.pos+1]
				r.pos++
			case c != '\n':
				text += string([]byte{c})
			}
		}
	}
	r.pos = start
	return "", false
}

// cfws: comments and folding white space.
func (r *reference) cfws() {
	for r.take(" ") || r.take("\t") || r.take("\n") || r.comment() {
	}
}

// comment: "(" *(ctext / quoted-pair / comment) ")".
func (r *reference) comment() bool {
	start := r.pos
	if !r.take("(") {
		return false
	}
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case r.take(")"):
			return true
		case c == '(':
			if !r.comment() {
				r.pos = start
				return false
			}
		case c == '\r' || c == 0 || c == '\\' && (r.pos+1 == len(r.text) || strings.IndexByte("\r\n\x00", r.text[r.pos+1]) >= 0):
			r.pos = start
			return false
		case c == '\\':
			r.pos += 2
		default:
			r.pos++
		}
	}
	r.pos = start
	return false
}

func (r *reference) take(mark string) bool {
	if !strings.HasPrefix(r.text[r.pos:], mark) {
		return false
	}
	r.pos += len(mark)
	return true
}

// isCommon reports whether the addresses are in the language that both know. A
// Parser refuses some that the grammar has: empty local parts and control
// characters in them, blanks and backslashes in literals, and what is too long.
func isCommon(text string, addrs []string) bool {
	return len(text) < maxItem && !slices.ContainsFunc(addrs, func(a string) bool {
		at := strings.LastIndexByte(a, '@')
		local, domain := a, ""
		if at >= 0 {
			local, domain = a[:at], a[at+1:]
		}
		return at >= 0 && local == "" || strings.ContainsFunc(local, func(c rune) bool { return c < ' ' || c == 0x7f }) ||
			len(a) >= address.MaxLen || CheckHost(domain) != nil
	})
}

// FuzzReference: what is in the grammar of RFC 5322 has the same addresses for a
// Parser; and what a Printer makes of anything is in that grammar, with the
// addresses that it has taken.
func FuzzReference(f *testing.F) {
	for _, s := range []string{
		"djb fred, A (c) Person <x@host>, grp: g@h, i;", `"a\"b" <@h1,@h2:j@k>; (x) y`, "a (x) @ [1.2.3.4]", "(a(b)\\)) a . b @ c . d (e)",
		"g:;,h:a@b,,c@d; (x), <>", `Joe "Q." P. <"a b".c@d>`, "a@b <c@d>, John [Work] <e@f>, j\xf6@x", "\"a\n b\"@c,\n\t(x)", ". <a@b>, @ <c@d>", "<(x)@h,(y),@i(z):a@b>", "[[]<e>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 4<<10 {
			return // the reference is slow
		}
		printed, got, err := reprint(t, in)
		strict := &reference{text: in}
		if strict.list() && isCommon(in, strict.addrs) && (err != nil || !slices.Equal(got, strict.addrs)) {
			t.Errorf("%q has %q, %v; by RFC 5322 %q", in, got, err, strict.addrs)
		}
		if err != nil {
			return
		}
		loose := &reference{text: printed, printed: true}
		if !loose.list() || !slices.Equal(loose.addrs, got) {
			t.Errorf("%q is printed as %q, which by RFC 5322 has %q up to %d, not %q", in, printed, loose.addrs, loose.pos, got)
		}
	})
}
