package header

import "errors"

// What makes a field unreadable.
var (
	ErrByte      = errors.New("carriage return or zero byte")
	ErrQuotes    = errors.New("quotation mark without its partner")
	ErrComment   = errors.New("parenthesis without its partner")
	ErrLiteral   = errors.New("bracket without its partner")
	ErrBackslash = errors.New("backslash at the end")
	ErrAngle     = errors.New("angle bracket without its partner")
	ErrNoAddress = errors.New("angle brackets without a proper address")
	ErrRoute     = errors.New("source route without an address")
	ErrLocal     = errors.New("address without a local part")
	ErrDomain    = errors.New("domain that cannot be one")
	ErrControl   = errors.New("control byte in an address")
	ErrLong      = errors.New("address is too long")
	ErrLongItem  = errors.New("name or comments too long")
	ErrGroup     = errors.New("group that is not ended by a semicolon, or a stray colon")
	ErrGroupName = errors.New("group name that is none")
)

// A kind says what a token is.
type kind byte

const (
	end     kind = iota // of the text
	atom                // a word; backslashes in it quote
	quoted              // "a string", its marks included
	literal             // [127.0.0.1], its brackets included
	comment             // (anything), its parentheses included
	// The other tokens are one mark each.
	dot
	at
	comma
	semicolon
	colon
	left
	right
)

// word reports whether k can stand in a local part or a phrase by itself.
func (k kind) word() bool { return k == atom || k == quoted || k == literal }

// A token is a piece of a field's text, which it does not hold.
type token struct {
	kind       kind
	start, end int
	blank      bool // there is white space before it
}

// marks has the kind of each byte that is a token by itself.
var marks = [256]kind{
	'.': dot, '@': at, ',': comma, ';': semicolon, ':': colon, '<': left, '>': right,
}

// scan returns the token at or behind pos. Line ends inside a field are white
// space between tokens and nothing inside of one (RFC 5322 section 2.2.3).
func scan(text string, pos int) (token, error) {
	t := token{start: pos}
	for pos < len(text) && blank(text[pos]) {
		pos++
	}
	t.blank = pos > t.start
	t.start = pos
	if pos == len(text) {
		t.end = pos
		return t, nil
	}

	var err error
	switch c := text[pos]; {
	case marks[c] != end:
		t.kind, t.end = marks[c], pos+1
	case c == '"':
		t.kind = quoted
		t.end, err = closing(text, pos, '"', ErrQuotes)
	case c == '[':
		t.kind = literal
		t.end, err = closing(text, pos, ']', ErrLiteral)
	case c == '(':
		t.kind = comment
		t.end, err = commentEnd(text, pos)
	default:
		t.kind = atom
		t.end, err = atomEnd(text, pos)
	}
	return t, err
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// closing returns the position behind the byte mark that ends what begins at
// pos.
func closing(text string, pos int, mark byte, missing error) (int, error) {
	for i := pos + 1; i < len(text); i++ {
		switch text[i] {
		case mark:
			return i + 1, nil
		case '\\':
			i = escaped(text, i)
			if i < len(text) && badByte(text[i]) {
				return 0, ErrByte
			}
		case '\r', 0:
			return 0, ErrByte
		}
	}
	return 0, missing
}

// commentEnd returns the position behind the comment that begins at pos.
// Comments nest; their depth is a number, not a stack.
func commentEnd(text string, pos int) (int, error) {
	depth := 0
	for i := pos; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				return i + 1, nil
			}
		case '\\':
			i = escaped(text, i)
			if i < len(text) && badByte(text[i]) {
				return 0, ErrByte
			}
		case '\r', 0:
			return 0, ErrByte
		}
	}
	return 0, ErrComment
}

// atomEnd returns the position behind the atom that begins at pos.
func atomEnd(text string, pos int) (int, error) {
	for i := pos; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i = escaped(text, i)
			if i == len(text) {
				return 0, ErrBackslash
			}
			if badByte(text[i]) {
				return 0, ErrByte
			}
		case badByte(c):
			return 0, ErrByte
		case blank(c), marks[c] != end, c == '"', c == '[', c == '(':
			return i, nil
		}
	}
	return len(text), nil
}

// escaped returns where the byte is that the backslash at i quotes: a line end
// between them is not there (RFC 5322 section 2.2.3).
func escaped(text string, i int) int {
	i++
	for i < len(text) && text[i] == '\n' {
		i++
	}
	return i
}

// badByte reports whether c may not be in a field that we write again: no line
// end may hide there (R37).
func badByte(c byte) bool { return c == '\r' || c == 0 }

// appendContent appends what a word means: without its marks, backslashes and
// line ends.
func appendContent(dst []byte, text string, t token) []byte {
	raw := text[t.start:t.end]
	if t.kind == quoted {
		raw = raw[1 : len(raw)-1]
	}
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\n' {
			continue
		}
		if c == '\\' {
			i = escaped(raw, i)
			if i == len(raw) {
				break
			}
			c = raw[i]
		}
		dst = append(dst, c)
	}
	return dst
}
