package milter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postrider/internal/milterwire"
	"postrider/internal/scratch"
)

const (
	// MaxHeader is the most octets of a header, MaxFields the most fields.
	MaxHeader = 2 << 20
	MaxFields = 10000
)

// ErrHeader is returned for a message whose header is over a limit.
var ErrHeader = errors.New("the header of the message is too long")

// Message is one that milters read and change. It does not own its files.
type Message struct {
	// trace is our Received line, with all of its lines.
	trace  string
	fields []field
	// gap is the empty line behind the fields, if there is one.
	gap  string
	body body
}

// field is a header field: its name and the whole of it, with its line end. One
// that was deleted has no text.
type field struct {
	name string
	text string
}

// body is part of a file.
type body struct {
	file   *scratch.File
	offset int64
	size   int64
}

func (b body) reader() io.Reader {
	if b.file == nil {
		return strings.NewReader("")
	}
	return struct{ io.Reader }{b.file.Section(b.offset, b.size)}
}

// NewMessage reads the header of a message that is in a file, from its
// beginning on. Lines end in LF. Where a line is neither a field nor the
// continuation of one, the body begins.
func NewMessage(file *scratch.File, size int64) (*Message, error) {
	in := bufio.NewReaderSize(file.Section(0, size), 16<<10)
	m := &Message{}
	var text []byte // of the last field so far
	header, name := int64(0), ""
	settle := func() {
		if name != "" {
			m.fields = append(m.fields, field{name, string(text)})
		}
	}
	for {
		line, err := readLine(in, MaxHeader-header)
		if err != nil && err != io.EOF {
			return nil, err
		}
		n := int64(len(line))
		if err == io.EOF && line != "" {
			line += "\n" // so that a field can follow
		}
		next, isField := fieldName(line)
		switch {
		case name != "" && line != "" && (line[0] == ' ' || line[0] == '\t'):
			text = append(text, line...)
		case isField:
			settle()
			name, text = next, append(text[:0], line...)
		default:
			settle()
			if line == "\n" {
				m.gap = line
			}
			m.begin(file, header, size)
			return m, nil
		}
		if header += n; len(m.fields) > MaxFields {
			return nil, ErrHeader
		}
	}
}

// begin takes our field off the others, and what is behind the header.
func (m *Message) begin(file *scratch.File, header, size int64) {
	if len(m.fields) > 0 {
		m.trace, m.fields = m.fields[0].text, m.fields[1:]
	}
	at := header + int64(len(m.gap))
	m.body = body{file, at, size - at}
}

// readLine reads a line of at most so many bytes.
func readLine(in *bufio.Reader, most int64) (string, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		if int64(len(line)+len(piece)) > most {
			return "", ErrHeader
		}
		line = append(line, piece...)
		if err != bufio.ErrBufferFull {
			return string(line), err
		}
	}
}

// fieldName returns the name that a field begins with (RFC 5322 section 2.2; in
// old messages there are blanks before the colon).
func fieldName(line string) (name string, found bool) {
	name, _, found = strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return "", false
		}
	}
	return name, found && name != ""
}

// value is what stands behind the colon, without the last line end.
func (f field) value() string {
	_, value, _ := strings.Cut(f.text, ":")
	return strings.TrimSuffix(value, "\n")
}

// newField makes one of what a milter gives, whose lines stay in it
// (milterwire's invariant 3).
func newField(c milterwire.Change, leadingSpace bool) field {
	colon := ":"
	if !leadingSpace {
		colon = ": "
	}
	return field{c.Name, c.Name + colon + c.Value + "\n"}
}

// change changes the header. Fields that were deleted are counted until settle
// is called, as Sendmail does.
func (m *Message) change(c milterwire.Change, leadingSpace bool) error {
	switch c.Kind {
	case milterwire.AddHeader:
		m.fields = append(m.fields, newField(c, leadingSpace))
	case milterwire.InsertHeader:
		at := min(max(c.Index, 1)-1, len(m.fields))
		m.fields = slices.Insert(m.fields, at, newField(c, leadingSpace))
	case milterwire.ChangeHeader:
		at := m.find(c.Name, max(c.Index, 1))
		switch {
		case c.Value == "" && at >= 0:
			m.fields[at].text = ""
		case c.Value == "":
		case at >= 0:
			m.fields[at] = newField(c, leadingSpace)
		default:
			m.fields = append(m.fields, newField(c, leadingSpace))
		}
	default:
		return fmt.Errorf("no change of a header: %q", c.Kind)
	}
	return nil
}

// Insert puts fields of our own behind our Received line, in order: names, and
// values of one line, of which unprintable octets become question marks.
func (m *Message) Insert(fields ...[2]string) error {
	for i, f := range fields {
		value := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, f[1])
		m.fields = slices.Insert(m.fields, i, field{f[0], f[0] + ": " + value[:min(len(value), maxOwnValue)] + "\n"})
	}
	return m.settle()
}

// maxOwnValue keeps a line of ours within what lines may have (RFC 5322 section 2.1.1).
const maxOwnValue = 900

// find returns where the nth field of a name is, or -1.
func (m *Message) find(name string, n int) int {
	for i, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			if n--; n == 0 {
				return i
			}
		}
	}
	return -1
}

// settle forgets fields that were deleted, and looks at the limits.
func (m *Message) settle() error {
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.text == "" })
	size := 0
	for _, f := range m.fields {
		size += len(f.text)
	}
	if len(m.fields) > MaxFields || size > 2*MaxHeader {
		return ErrHeader
	}
	return nil
}

// WriteTo writes the message as it is now.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriterSize(w, 32<<10)
	n := int64(0)
	add := func(s string) {
		k, _ := out.WriteString(s) // an error comes again with Flush
		n += int64(k)
	}
	add(m.trace)
	for _, f := range m.fields {
		add(f.text)
	}
	add(m.gap)
	k, err := io.Copy(struct{ io.Writer }{out}, m.body.reader())
	if err == nil {
		err = out.Flush()
	}
	return n + k, err
}
