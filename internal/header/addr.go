package header

import (
	"strings"

	"postrider/internal/address"
)

// An Addr is an address as it stands in a field, without quoting. The zero
// value is the null address "<>"; any other has a local part.
type Addr struct {
	Local string
	Host  string // empty if the address has no "@"
}

// IsNull reports whether a is "<>".
func (a Addr) IsNull() bool { return a == Addr{} }

// String returns the address as an envelope has it.
func (a Addr) String() string {
	if a.Host == "" {
		return a.Local
	}
	return a.Local + "@" + a.Host
}

// Quoted returns the address as a field has it.
func (a Addr) Quoted() string { return string(a.AppendQuoted(nil)) }

// AppendQuoted appends the address as a field has it.
func (a Addr) AppendQuoted(dst []byte) []byte {
	switch {
	case a.IsNull():
		return dst
	case strings.IndexByte(a.Local, '@') < 0:
		dst = append(dst, address.Quote(a.Local)...)
	default: // Quote would take what follows this "@" for the domain
		dst = AppendString(dst, a.Local)
	}
	if a.Host != "" {
		dst = append(dst, '@')
		dst = append(dst, a.Host...)
	}
	return dst
}

// NewAddr makes an address of words that come from elsewhere than a field: an
// argument or the environment. Both have the rules of a field's address.
func NewAddr(local, host string) (Addr, error) {
	if local == "" {
		return Addr{}, ErrLocal
	}
	size := len(local)
	if host != "" {
		size += len("@") + len(host)
	}
	if size > address.MaxLen {
		return Addr{}, ErrLong
	}
	for i := 0; i < len(local); i++ {
		if controlByte(local[i]) {
			return Addr{}, ErrControl
		}
	}
	return Addr{local, host}, CheckHost(host)
}

// CheckHost refuses a domain with a byte that none has (R36) or with an empty
// label. The empty domain passes.
func CheckHost(host string) error {
	isLiteral := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	name := host
	if isLiteral {
		name = host[1 : len(host)-1]
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == ' ' || controlByte(c) || strings.IndexByte(`()<>@,;\"[]`, c) >= 0 || c == ':' && !isLiteral {
			return ErrDomain
		}
	}
	if !isLiteral && (strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..")) {
		return ErrDomain
	}
	return nil
}

func controlByte(c byte) bool { return c < 32 || c == 127 }

// reader collects one address from its tokens.
type reader struct {
	text string
	buf  []byte // words, dots and marks so far
	last kind   // of the last token that counts
	// Where in buf the last and the last but one "@" are, -1 for none.
	lastAt, atBefore int
	quotedHost       bool // a quoted string stands behind the last "@"

	scratch [64]byte // of buf, as long as it is enough
}

func (r *reader) begin(text string) {
	r.text, r.buf, r.lastAt, r.atBefore = text, r.scratch[:0], -1, -1
}

// addrAt reads the address at or behind pos: one in angle brackets, or words
// joined by dots and "@". It returns the position behind it. Comments inside
// are skipped; the caller knows where they are.
func addrAt(text string, pos int) (a Addr, next int, err error) {
	t, err := scanPastComments(text, pos)
	if err != nil {
		return Addr{}, 0, err
	}
	if t.kind == left {
		return angleAddr(text, t.end)
	}
	var r reader
	r.begin(text)
	next = t.start
	for {
		if t.kind.word() && r.last.word() || !t.kind.word() && t.kind != dot && t.kind != at {
			a, err = r.addr()
			return a, next, err
		}
		if err := r.add(t); err != nil {
			return Addr{}, 0, err
		}
		next = t.end
		if t, err = scanPastComments(text, next); err != nil {
			return Addr{}, 0, err
		}
	}
}

// angleAddr reads what stands between "<", which is before pos, and ">".
func angleAddr(text string, pos int) (a Addr, next int, err error) {
	t, err := scanPastComments(text, pos)
	if err != nil {
		return Addr{}, 0, err
	}
	if t.kind == right {
		return Addr{}, t.end, nil
	}
	if t.kind == at {
		if t, err = skipRoute(text, t); err != nil {
			return Addr{}, 0, err
		}
	}
	var r reader
	r.begin(text)
	for t.kind != right {
		switch {
		case t.kind == end:
			return Addr{}, 0, ErrAngle
		case t.kind.word() && r.last.word():
			// "<joe smith@x>" could mean two addresses or a third.
			return Addr{}, 0, ErrNoAddress
		case !t.kind.word() && t.kind != dot && t.kind != at:
			return Addr{}, 0, ErrNoAddress
		}
		if err := r.add(t); err != nil {
			return Addr{}, 0, err
		}
		if t, err = scanPastComments(text, t.end); err != nil {
			return Addr{}, 0, err
		}
	}
	a, err = r.addr()
	return a, t.end, err
}

// skipRoute returns the token behind the colon that ends the source route which
// begins with t (RFC 5322 section 4.4: to be ignored).
func skipRoute(text string, t token) (token, error) {
	var err error
	for err == nil {
		switch t.kind {
		case colon:
			return scanPastComments(text, t.end)
		case at, comma, dot, atom, literal:
			t, err = scanPastComments(text, t.end)
		default:
			return token{}, ErrRoute
		}
	}
	return token{}, err
}

func scanPastComments(text string, pos int) (token, error) {
	for {
		t, err := scan(text, pos)
		if err != nil || t.kind != comment {
			return t, err
		}
		pos = t.end
	}
}

// add takes a word, a dot or an "@".
func (r *reader) add(t token) error {
	if t.end-t.start > 4*address.MaxLen {
		return ErrLong // also bounds what the next line copies
	}
	switch t.kind {
	case dot:
		r.buf = append(r.buf, '.')
	case at:
		r.atBefore, r.lastAt = r.lastAt, len(r.buf)
		r.quotedHost = false
		r.buf = append(r.buf, '@')
	default:
		r.buf = appendContent(r.buf, r.text, t)
		r.quotedHost = r.quotedHost || t.kind == quoted
	}
	if len(r.buf) > address.MaxLen+2 { // a dot and an "@" may still go
		return ErrLong
	}
	r.last = t.kind
	return nil
}

// addr ends the address: one dot and then one "@" at the end do not count
// (spec section 7.1).
func (r *reader) addr() (Addr, error) {
	s := r.buf
	if r.last == dot {
		s = s[:len(s)-1]
	}
	if r.lastAt >= 0 && r.lastAt == len(s)-1 {
		s = s[:r.lastAt]
		r.lastAt = r.atBefore
	}
	if r.lastAt < 0 {
		return NewAddr(string(s), "")
	}
	whole := string(s)
	local, host := whole[:r.lastAt], whole[r.lastAt+1:]
	if host == "" || r.quotedHost {
		return Addr{}, ErrDomain
	}
	return NewAddr(local, host)
}
