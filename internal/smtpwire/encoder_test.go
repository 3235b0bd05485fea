package smtpwire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"postrider/internal/lineartest"
)

// encode sends a message through an Encoder in pieces of n bytes.
func encode(message []byte, n int) []byte {
	var e Encoder
	var out []byte
	for len(message) > 0 {
		piece := message[:min(n, len(message))]
		message = message[len(piece):]
		out = e.Append(out, piece)
	}
	return e.AppendEnd(out)
}

// repaired is what a stored message means: every CRLF, CR and LF a line end,
// the last line complete.
func repaired(message []byte) []byte {
	m := bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	m = bytes.ReplaceAll(m, []byte("\r"), []byte("\n"))
	if len(m) > 0 && m[len(m)-1] != '\n' {
		m = append(m, '\n')
	}
	return m
}

// strictDecode reads what follows a 354 as a server that knows CRLF only. It
// fails on bare CR or LF and on anything behind the end mark.
func strictDecode(wire []byte) ([]byte, error) {
	var message []byte
	for {
		line, rest, found := bytes.Cut(wire, []byte("\r\n"))
		switch {
		case !found:
			return nil, errors.New("no end mark")
		case bytes.ContainsAny(line, "\r\n"):
			return nil, errors.New("bare CR or LF")
		case string(line) == ".":
			if len(rest) > 0 {
				return nil, errors.New("bytes behind the end mark")
			}
			return message, nil
		}
		if len(line) > 0 && line[0] == '.' {
			line = line[1:]
		}
		message = append(append(message, line...), '\n')
		wire = rest
	}
}

func TestEncoder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"empty message", "", ".\r\n"},
		{"one line", "a\n", "a\r\n.\r\n"},
		{"last line without end", "a\nb", "a\r\nb\r\n.\r\n"},
		{"empty lines", "\n\n", "\r\n\r\n.\r\n"},
		{"dot alone", ".\n", "..\r\n.\r\n"},
		{"dot alone, no end", ".", "..\r\n.\r\n"},
		{"dots at line starts only", ".a.b\n..c\n", "..a.b\r\n...c\r\n.\r\n"},
		{"stored CRLF is one line end", "a\r\nb\n", "a\r\nb\r\n.\r\n"},
		{"stored CR is a line end", "a\rb\n", "a\r\nb\r\n.\r\n"},
		{"CR brings a dot to a line start", "X\r.\nQUIT\n", "X\r\n..\r\nQUIT\r\n.\r\n"},
		{"CR dot CR", "X\r.\rMAIL FROM:<>\r", "X\r\n..\r\nMAIL FROM:<>\r\n.\r\n"},
		{"CR CR LF", "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
		{"CR at the end", "a\r", "a\r\n.\r\n"},
		{"CR only", "\r", "\r\n.\r\n"},
		{"NUL and 8-bit pass", "\x00\xff\n", "\x00\xff\r\n.\r\n"},
		{"end mark stored", "a\r\n.\r\nb\n", "a\r\n..\r\nb\r\n.\r\n"},
	} {
		for n := 1; n <= len(c.in)+1; n++ {
			if got := string(encode([]byte(c.in), n)); got != c.want {
				t.Errorf("%s, in pieces of %d: got %q, want %q", c.name, n, got, c.want)
			}
		}
	}
}

// R43: the worst input in one piece.
func TestEncoderLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) { encode([]byte(text), len(text)) },
		lineartest.Units("\r", "\n", ".\r", "a", ".", "\r\n", "a\r", "\r."))
}

func FuzzEncoder(f *testing.F) {
	for _, s := range []string{"", "a\n", ".\n", "X\r.\nQUIT\n", "a\r\r\n.\r\n..\r", "\n.", strings.Repeat("\r.", 9)} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, message []byte, n int) {
		wire := encode(message, max(1, n))
		got, err := strictDecode(wire)
		if err != nil {
			t.Fatalf("%q became %q: %v", message, wire, err)
		}
		if want := repaired(message); !bytes.Equal(got, want) {
			t.Fatalf("%q is read as %q, want %q", message, got, want)
		}
	})
}

func BenchmarkEncoder(b *testing.B) {
	message := bytes.Repeat([]byte("A line of text as long as lines of mail usually are, or so.\n"), 1000)
	out := make([]byte, 0, 2*len(message))
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		var e Encoder
		out = e.AppendEnd(e.Append(out[:0], message))
	}
}

// TestChunk: for BDAT a message has the length that is announced, and nothing is
// added to it but line ends.
func TestChunk(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":           "",
		".":          ".\r\n",
		".\n..\na\n": ".\r\n..\r\na\r\n",
		"a\nb":       "a\r\nb\r\n",
		"\n\n":       "\r\n\r\n",
		"a\r\nb\rc":  "a\r\nb\r\nc\r\n",
	} {
		for n := 1; n < 4; n++ {
			e := Encoder{Chunk: true}
			var out []byte
			for rest := []byte(in); len(rest) > 0; rest = rest[min(n, len(rest)):] {
				out = e.Append(out, rest[:min(n, len(rest))])
			}
			if got := string(e.AppendEnd(out)); got != want {
				t.Errorf("%q in pieces of %d: %q", in, n, got)
			}
		}
	}
}
