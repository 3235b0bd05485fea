package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"postrider/internal/dkim/dkimtest"
)

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), max(p.most, 1))], p.left)
	p.left = p.left[n:]
	return n, nil
}

var forms = []struct{ name, in, head, body string }{
	{"RFC 6376 section 3.4.5", "A: X\nB : Y\t\n\tZ  \n\n C \nD \t E\n\n\n", "a:X|b:Y Z", " C\r\nD E\r\n"},
	{"empty", "", "", ""},
	{"no header", "\nx\n", "", "x\r\n"},
	{"no body", "A: b\n\n", "a:b", ""},
	{"no empty line", "A: b\n", "a:b", ""},
	{"no line end", "A: b", "a:b", ""},
	{"body without a line end", "A: b\n\nx", "a:b", "x\r\n"},
	{"body of empty lines", "A: b\n\n\n\n\n", "a:b", ""},
	{"body of blanks", "A: b\n\n \t\n ", "a:b", ""},
	{"empty lines inside", "A: b\n\n\n\nx\n\n\ny\n\n", "a:b", "\r\n\r\nx\r\n\r\n\r\ny\r\n"},
	{"blanks at the start of lines", "A: b\n\n\tx\n  y\n", "a:b", " x\r\n y\r\n"},
	{"stored CR", "A: b\r\nC: d\r\re\r\n f", "a:b|c:d", "e\r\n f\r\n"},
	{"CR CR LF", "A: b\n\nx\r\r\ny", "a:b", "x\r\n\r\ny\r\n"},
	{"folded in any way", "A:\n b\n\t c \n  d\n\n", "a:b c d", ""},
	{"a line of blanks continues", "A: b\n \n\t\n c\n\n", "a:b c", ""},
	{"no colon", "A: b\nno field\nC: d\n\n", "a:b|no field:|c:d", ""},
	{"empty values", "A:\nB: \n\n", "a:|b:", ""},
	{"other blanks stay", "A: b\v c\u00a0d\x00\n\n\fx\x00\n", "a:b\v c\u00a0d\x00", "\fx\x00\r\n"},
	{"dots are not doubled", "A: b\n\n.\n..x\n", "a:b", ".\r\n..x\r\n"},
	{"colons in values", "A: b: c:d\n\n", "a:b: c:d", ""},
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, c := range forms {
		for n := 1; n <= len(c.in)+1; n++ {
			fields, body := canonical(t, c.in, n)
			if head := strings.Join(fields, "|"); head != c.head || body != c.body {
				t.Errorf("%s, in pieces of %d: %q, %q, want %q, %q", c.name, n, head, body, c.head, c.body)
				break
			}
		}
	}
}

// The example of RFC 8463, and the hash of nothing (RFC 6376 section 3.4.4).
func TestBodyHash(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		letter:      "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=",
		"A: b\n\n":  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"A: b\n\n ": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	} {
		m, err := Read(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := base64.StdEncoding.EncodeToString(m.bodyHash); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestLongHeader(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"A: ", "A: b\nB: c\nC: "} {
		fits := text + strings.Repeat("x", MaxHeader-len(text))
		if _, err := Read(strings.NewReader(fits + "\n\nx")); err == nil {
			t.Error("a header of more than the limit is taken")
		}
		if _, err := Read(strings.NewReader(fits[:len(fits)-1] + "\n\n" + strings.Repeat("x", 1<<20))); err != nil {
			t.Error(err)
		}
		if _, err := ReadHeader(strings.NewReader(fits + "x")); err != ErrLongHeader {
			t.Errorf("got %v", err)
		}
	}
}

// The memory that a body takes does not grow with it, whatever it is made of.
func TestBodyMemory(t *testing.T) {
	for _, pattern := range []string{"\n", " ", "\t\n", "x", "x\n"} {
		text := bytes.Repeat([]byte(pattern), 16<<20/len(pattern))
		b := &bodyHash{hash: sha256.New(), out: make([]byte, 0, outSize)}
		allocs := testing.AllocsPerRun(1, func() { b.write(text); b.flush() })
		if allocs > 10 || cap(b.out) != outSize {
			t.Errorf("%q: %v allocations, %d octets kept", pattern, allocs, cap(b.out))
		}
	}
}

// FuzzForms compares with the reference, however the message comes.
func FuzzForms(f *testing.F) {
	for _, c := range forms {
		f.Add(c.in, 3)
	}
	f.Fuzz(func(t *testing.T, in string, piece int) {
		if len(in) >= MaxHeader {
			return
		}
		fields, body := canonical(t, in, piece)
		stored := strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
		wantFields, wantBody := dkimtest.Reference(stored)
		if len(fields) == 0 && slices.Equal(wantFields, []string{":"}) {
			wantFields = nil // of no header
		}
		if body != wantBody || !slices.Equal(fields, wantFields) {
			t.Errorf("%q: %q, %q\nwant %q, %q", in, fields, body, wantFields, wantBody)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := letter + strings.Repeat("A line of text as long as lines of mail usually are, or so.\n", 1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
