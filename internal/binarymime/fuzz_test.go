package binarymime

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	parts "mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// FuzzConvert: how the input is split does not matter, what comes out is lines,
// not too much of it, and nothing is left to convert.
func FuzzConvert(f *testing.F) {
	for _, c := range conversions {
		f.Add([]byte(c.in), 3, 11)
	}
	f.Fuzz(func(t *testing.T, in []byte, first, second int) {
		if first < 0 || second < first || second > len(in) {
			first, second = len(in)/3, len(in)/2
		}
		var whole Converter
		out := whole.AppendEnd(whole.Append(nil, in))
		got, err := converted(string(in[:first]), string(in[first:second]), string(in[second:]))
		if err != whole.Err() || err == nil && got != string(out) {
			t.Fatalf("%q split at %d, %d: %q, %v\nin one piece %q, %v", in, first, second, got, err, out, whole.Err())
		}
		if len(out) > 2*len(in)+MaxHeld {
			t.Fatalf("%d octets from %d", len(out), len(in))
		}
		if err != nil {
			return
		}
		if bytes.IndexByte(out, '\r') >= 0 || len(out) > 0 && out[len(out)-1] != '\n' {
			t.Fatalf("%q has a line end that is none", out)
		}
		if again, err := converted(string(out)); err != nil || again != string(out) {
			t.Fatalf("%q becomes %q, which becomes %q, %v", in, out, again, err)
		}
	})
}

// builder makes messages out of octets that choose.
type builder struct {
	choices []byte
	leaves  [][]byte // what is in the parts in binary
	names   int
}

func (b *builder) choose(n int) int {
	if len(b.choices) == 0 {
		return 0
	}
	c := int(b.choices[0])
	b.choices = b.choices[1:]
	return c % n
}

// data returns octets that look like the end of something.
func (b *builder) data() []byte {
	words := []string{"", "\r", "\n", "\r\n", "--", "--b1", "--b2--", "-", "\x00", "\xff", "b1", " ", strings.Repeat("x", 56), "\r\n\r\n", "Content-Type: multipart/mixed; boundary=b1"}
	var data []byte
	for n := b.choose(20); n > 0; n-- {
		data = append(data, words[b.choose(len(words))]...)
	}
	return data
}

// entity appends a message or part; taken are the boundaries around it.
func (b *builder) entity(out []byte, taken []string) []byte {
	out = fmt.Appendf(out, "X-Filler: %d\r\n", b.choose(256))
	kind := b.choose(4)
	if len(taken) > 8 {
		kind = 0
	}
	switch kind {
	default:
		data := b.data()
		for _, boundary := range taken {
			data = bytes.ReplaceAll(data, []byte("--"+boundary), []byte("x"))
		}
		b.leaves = append(b.leaves, data)
		return append(append(out, binaryField+"Content-Type: application/x\r\n\r\n"...), data...)
	case 1:
		return append(out, "Content-Type: text/plain\r\n\r\na\rb\nc"...)
	case 2:
		return b.entity(append(out, "Content-Type: message/rfc822\r\n"+binaryField+"\r\n"...), taken)
	case 3:
		b.names++
		boundary := fmt.Sprint("b", b.names)
		inside := append(taken[:len(taken):len(taken)], boundary)
		out = fmt.Appendf(out, "Content-Type: multipart/mixed;\r\n\tboundary=%q\r\n%s\r\n", boundary, binaryField)
		for n := 1 + b.choose(3); n > 0; n-- {
			out = fmt.Appendf(out, "\r\n--%s\r\n", boundary)
			out = b.entity(out, inside)
		}
		return fmt.Appendf(out, "\r\n--%s--\r\nbehind", boundary)
	}
}

// readParts returns what Go's library finds in the parts of a kind.
func readParts(t *testing.T, header interface{ Get(string) string }, body io.Reader) (leaves [][]byte) {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "multipart/mixed":
		r := parts.NewReader(body, parameters["boundary"])
		for {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return leaves
			}
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, readParts(t, p.Header, p)...)
		}
	case "message/rfc822":
		m, err := mail.ReadMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		return readParts(t, m.Header, m.Body)
	case "application/x":
		data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, body))
		if err != nil || header.Get("Content-Transfer-Encoding") != "base64" {
			t.Fatalf("%v, encoding %q", err, header.Get("Content-Transfer-Encoding"))
		}
		return [][]byte{data}
	}
	return nil
}

// FuzzParts: who reads the message finds in its parts what the sender put there.
func FuzzParts(f *testing.F) {
	f.Add([]byte{0, 0, 5, 1, 2, 3, 4, 5})
	f.Add([]byte{0, 3, 2, 0, 0, 9, 3, 4, 5, 3, 6, 13, 8, 1, 1, 0, 3, 1, 0, 0, 12, 12, 12, 12, 12, 12, 0, 2, 0, 0, 4, 1, 2, 3, 4})
	f.Add(bytes.Repeat([]byte{3, 7, 2, 0, 5, 10, 13, 14}, 30))
	f.Fuzz(func(t *testing.T, choices []byte) {
		b := builder{choices: choices}
		in := b.entity(nil, nil)
		out, err := converted(string(in))
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		m, err := mail.ReadMessage(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		found := readParts(t, m.Header, m.Body)
		if len(found) != len(b.leaves) {
			t.Fatalf("%q becomes %q: %d parts, want %d", in, out, len(found), len(b.leaves))
		}
		for i, want := range b.leaves {
			if !bytes.Equal(found[i], want) {
				t.Fatalf("%q becomes %q: part %d is %q, want %q", in, out, i, found[i], want)
			}
		}
	})
}
