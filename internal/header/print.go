package header

import (
	"io"
	"strings"
)

// lineColumns is the longest line that a Printer makes by joining members of a
// list: with the line end it has 80 columns.
const lineColumns = 78

// A Printer writes fields of addresses. Members of a list are joined by a comma
// and a blank, or by a comma, a line end and two blanks where the line would
// become too long. A member is never broken.
type Printer struct {
	w io.Writer

	line int    // columns written since the last line end
	unit []byte // what must stay together: up to a comma
	// Whether the unit is the first one, which stays on the line of the name.
	first bool
	err   error
}

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// Field writes the field called name with the items of body, the address of each
// Mailbox as rewrite returns it. It returns the error of the Parser, of rewrite or of the
// writer.
func (p *Printer) Field(name string, body string, rewrite func(Item) (Addr, error)) error {
	p.begin(name)
	parser := NewParser(body)
	before := GroupStart // nothing needs a comma before it
	for {
		item, ok := parser.Next()
		if !ok {
			break
		}
		if before != GroupStart && item.Kind != GroupEnd {
			p.unit = append(p.unit, ',')
			p.flush()
		}
		if item.Kind != GroupEnd || before == GroupStart {
			p.unit = append(p.unit, ' ')
		}
		p.item(body, item, rewrite)
		if p.err != nil {
			return p.err
		}
		before = item.Kind
	}
	if err := parser.Err(); err != nil {
		return err
	}
	return p.finish()
}

// Addrs writes a field with one address a line, as next returns them until it
// says false.
func (p *Printer) Addrs(name string, next func() (Addr, bool)) error {
	p.begin(name)
	separator := " "
	for {
		a, ok := next()
		if !ok {
			return p.finish()
		}
		p.unit = append(p.unit, separator...)
		p.unit = a.AppendQuoted(p.unit)
		p.flush()
		separator = ",\n  "
	}
}

func (p *Printer) begin(name string) {
	p.line, p.first, p.err = 0, true, nil
	p.unit = append(append(p.unit[:0], name...), ':')
}

func (p *Printer) finish() error {
	p.flush()
	p.write([]byte{'\n'})
	return p.err
}

// flush writes the unit, which begins with the blank before it.
func (p *Printer) flush() {
	if !p.first && p.line+len(p.unit) > lineColumns {
		p.write([]byte("\n "))
		p.line = 1
	}
	p.write(p.unit)
	p.line += len(p.unit)
	p.unit = p.unit[:0]
	p.first = false
}

func (p *Printer) write(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

func (p *Printer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// item appends one item to the unit.
func (p *Printer) item(text string, item Item, rewrite func(Item) (Addr, error)) {
	switch item.Kind {
	case GroupStart:
		p.phrase(text, item)
		p.unit = append(p.unit, ':')
	case GroupEnd:
		p.unit = append(p.unit, ';')
	case Note:
		p.comments(text, item.start, item.end, "")
	case Mailbox:
		p.mailbox(text, item, rewrite)
	}
}

func (p *Printer) mailbox(text string, item Item, rewrite func(Item) (Addr, error)) {
	shown, err := rewrite(item)
	if err != nil {
		p.fail(err)
		return
	}
	if !item.angle {
		p.unit = shown.AppendQuoted(p.unit)
		p.comments(text, item.start, item.end, " ")
		return
	}
	if p.phrase(text, item) {
		p.unit = append(p.unit, ' ')
	}
	p.unit = append(p.unit, '<')
	p.unit = shown.AppendQuoted(p.unit)
	p.unit = append(p.unit, '>')
	p.comments(text, item.addrEnd, item.end, " ")
}

// phrase appends the words before "<" or ":" with a blank between any two that
// had one. The Parser has seen all of these tokens; none is an error.
func (p *Printer) phrase(text string, item Item) (some bool) {
	text = text[:item.phraseEnd]
	var before kind
	for pos := item.start; ; {
		t, err := scan(text, pos)
		if err != nil || t.kind == end {
			return before != end
		}
		apart := t.blank || wordLike(before) && wordLike(t.kind)
		if before != end && apart {
			p.unit = append(p.unit, ' ')
		}
		p.token(text, t)
		before, pos = t.kind, t.end
	}
}

func wordLike(k kind) bool { return k.word() || k == comment }

// token appends a token of a phrase. An atom with a backslash, a control byte,
// a byte over 127 or a mark that only lenient readers take becomes a quoted
// string.
func (p *Printer) token(text string, t token) {
	raw := text[t.start:t.end]
	if t.kind != atom || cleanAtom(raw) {
		p.unfolded(raw)
		return
	}
	p.unit = AppendString(p.unit, string(appendContent(nil, text, t)))
}

// AppendString appends words as a quoted string (RFC 5322 section 3.2.4).
func AppendString(dst []byte, words string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(words); i++ {
		c := words[i]
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func cleanAtom(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if c := raw[i]; c < 33 || c > 126 || strings.IndexByte(`)]\`, c) >= 0 {
			return false
		}
	}
	return true
}

// comments appends the comments between from and to, each behind separator.
func (p *Printer) comments(text string, from, to int, separator string) {
	for from < to {
		t, err := scan(text[:to], from)
		if err != nil || t.kind == end {
			return
		}
		if t.kind == comment {
			p.unit = append(p.unit, separator...)
			p.unfolded(text[t.start:t.end])
			separator = " "
		}
		from = t.end
	}
}

// unfolded appends raw without its line ends.
func (p *Printer) unfolded(raw string) {
	for raw != "" {
		var line string
		line, raw, _ = strings.Cut(raw, "\n")
		p.unit = append(p.unit, line...)
	}
}
