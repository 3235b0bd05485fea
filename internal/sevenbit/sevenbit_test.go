package sevenbit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
)

// convert returns the 7-bit form of a message, which is itself if there is
// nothing to encode.
func convert(t testing.TB, message string) (string, error) {
	t.Helper()
	r, err := New(strings.NewReader("skipped"+message), 7)
	if err != nil || r == nil {
		return message, err
	}
	first, err := io.ReadAll(iotest.OneByteReader(r))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	again, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("the second time: %q, %v; the first: %q", again, err, first)
	}
	return string(first), nil
}

func TestConvert(t *testing.T) {
	t.Parallel()
	const (
		text = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
		qp   = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
		mp   = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b b\"\n"
		same = ""
	)
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", same},
		{"ASCII", "MIME-Version: 1.0\n" + text + "hi\n", same},
		{"only a header", "Subject: x\n", same},
		{"octets over 127 in the header only", "Subject: \xfc\n\nhi\n", same},
		{"text", "MIME-Version: 1.0\n" + text + "h\xc3\xbc = 1\n", "MIME-Version: 1.0\n" + qp + "h=C3=BC =3D 1\n"},
		{"no MIME", "Subject: x\n\n\xfc\n",
			"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=FC\n"},
		{"no header", "\n\xfc",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=FC"},
		{"a type without MIME-Version", text + "\xfc\n",
			"Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n=FC\n"},
		{"blanks at the ends of lines", "MIME-Version: 1.0\n" + text + "\xfc \n \n\t", "MIME-Version: 1.0\n" + qp + "=FC=20\n=20\n=09"},
		{"CR", "MIME-Version: 1.0\n" + text + "\xfc\r\n", "MIME-Version: 1.0\n" + qp + "=FC=0D\n"},
		{"a long line", "MIME-Version: 1.0\n" + text + strings.Repeat("\xfc", 26) + "\n",
			"MIME-Version: 1.0\n" + qp + strings.Repeat("=FC", 25) + "=\n=FC\n"},
		{"an image", "MIME-Version: 1.0\nContent-Type: image/x\n\n\xff\xfe\n\n\xfd\n",
			"MIME-Version: 1.0\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n" + b64("\xff\xfe\r\n\r\n\xfd\r\n") + "\n"},

		{"one part of two", mp + "Content-Transfer-Encoding: 8bit\n\npreamble\n--b b\n" + text + "\xfc\n--b b \n" + text + "hi\n--b b--\nepilogue\n",
			mp + "Content-Transfer-Encoding: 7bit\n\npreamble\n--b b\n" + qp + "=FC\n--b b \n" + text + "hi\n--b b--\nepilogue\n"},
		{"the line end before a border", mp + "\n--b b\nContent-Type: image/x\n\n\xff\n\n--b b\nContent-Type: image/x\n\n\xff\n--b b--\n",
			mp + "Content-Transfer-Encoding: 7bit\n\n--b b\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n" + b64("\xff\r\n") +
				"\n--b b\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n" + b64("\xff") + "\n--b b--\n"},
		{"between parts", mp + "\n\xfc\n--b b\n\nhi\n--b b--\n\xfc\n", mp + "Content-Transfer-Encoding: 7bit\n\n?\n--b b\n\nhi\n--b b--\n?\n"},
		{"no last border", mp + "\n--b b\n" + text + "\xfc", mp + "Content-Transfer-Encoding: 7bit\n\n--b b\n" + qp + "=FC"},
		{"what is almost a border", mp + "\n--b b\n" + text + "--b bb\n--b\n \xfc\n--b b--\n", mp + "Content-Transfer-Encoding: 7bit\n\n--b b\n" + qp + "--b bb\n--b\n =FC\n--b b--\n"},
		{"a part whose header has no end", mp + "\n--b b\nX: \xfc\n--b b--\n", same},
		{"a message in a part", mp + "\n--b b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: y\n" + text + "\xfc\n--b b--\n",
			mp + "Content-Transfer-Encoding: 7bit\n\n--b b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: y\n" + qp + "=FC\n--b b--\n"},
		{"a digest", "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: y\n" + text + "\xfc\n--a--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=a\nContent-Transfer-Encoding: 7bit\n\n--a\nContent-Transfer-Encoding: 7bit\n\nSubject: y\n" + qp + "=FC\n--a--\n"},
		{"parts in a part", mp + "\n--b b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n" + text + "\xfc\n--c--\n--b b\n" + text + "\xfd\n--b b--\n",
			mp + "Content-Transfer-Encoding: 7bit\n\n--b b\nContent-Type: multipart/alternative; boundary=c\nContent-Transfer-Encoding: 7bit\n\n--c\n" + qp +
				"=FC\n--c--\n--b b\n" + qp + "=FD\n--b b--\n"},
		{"the outer border ends the inner parts", mp + "\n--b b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n" + text + "hi\n--b b\n" + text + "\xfd\n--b b--\n",
			mp + "Content-Transfer-Encoding: 7bit\n\n--b b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n" + text + "hi\n--b b\n" + qp + "=FD\n--b b--\n"},
		{"a signed part beside", mp + "\n--b b\nContent-Type: multipart/signed; boundary=c\n\n--c\n" + text + "hi\n--c--\n--b b\n" + text + "\xfd\n--b b--\n",
			mp + "Content-Transfer-Encoding: 7bit\n\n--b b\nContent-Type: multipart/signed; boundary=c\n\n--c\n" + text + "hi\n--c--\n--b b\n" + qp + "=FD\n--b b--\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want == same {
				want = c.in
			}
			if got, err := convert(t, c.in); err != nil || got != want {
				t.Errorf("got  %q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestRefusals(t *testing.T) {
	t.Parallel()
	const mime = "MIME-Version: 1.0\n"
	deep := mime + "Content-Type: multipart/mixed; boundary=b00\n\n"
	for i := range maxDepth + 1 {
		deep += fmt.Sprintf("--b%02d\nContent-Type: multipart/mixed; boundary=b%02d\n\n", i, i+1)
	}
	for _, c := range []struct {
		name, in string
		want     Refusal
	}{
		{"signed", mime + "Content-Type: multipart/signed; boundary=a\n\n--a\n\n\xfc\n--a--\n", Signed},
		{"signed, deeper", mime + "Content-Type: multipart/signed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n\xfc\n--a--\n", Signed},
		{"encrypted", mime + "Content-Type: MULTIPART / Encrypted (x); Boundary=a\n\n--a\n\n\xfc\n--a--\n", Signed},
		{"signed, before its parts", mime + "Content-Type: multipart/signed; boundary=a\n\n\xfc\n--a\n\nhi\n--a--\n", Signed},
		{"base64 that is none", mime + "Content-Transfer-Encoding: base64\n\n\xfc\n", Encoded},
		{"an unknown encoding", mime + "Content-Transfer-Encoding: x-uue\n\n\xfc\n", Encoded},
		{"parts without boundary", mime + "Content-Type: multipart/mixed\n\n\xfc\n", Opaque},
		{"a report", mime + "Content-Type: message/delivery-status\n\n\xfc\n", Opaque},
		{"a long header", mime + "X: " + strings.Repeat("x", maxHeader) + "\n\n\xfc\n", TooComplex},
		{"many parts", mime + "Content-Type: multipart/mixed; boundary=a\n\n" + strings.Repeat("--a\n\nx\n", maxEntities), TooComplex},
		{"parts in parts", deep + "\xfc\n", TooComplex},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := convert(t, c.in); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, kind, boundary string }{
		{" text/plain", "text/plain", ""},
		{" Multipart/Mixed; charset=x; boundary=abc", "multipart/mixed", "abc"},
		{` multipart/mixed; boundary="a;b\"c" ; x=y`, "multipart/mixed", `a;b"c`},
		{" multipart/mixed (hello; boundary=no);\n boundary = yes ", "multipart/mixed", "yes"},
		{` multipart/mixed; x="boundary=no"; boundary=yes; boundary=no`, "multipart/mixed", "yes"},
		{" multipart/mixed; junk; boundary=yes", "multipart/mixed", "yes"},
		{` multipart/mixed; boundary="open`, "multipart/mixed", "open"},
		{" multipart/mixed; boundary=" + strings.Repeat("x", maxBoundary+1), "multipart/mixed", ""},
		{` multipart/mixed; boundary=""`, "multipart/mixed", ""},
		{"", "", ""},
	} {
		if kind, boundary := parseType(c.in); kind != c.kind || boundary != c.boundary {
			t.Errorf("%q: %q, %q", c.in, kind, boundary)
		}
	}
}

func TestBrokenSource(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	if _, err := makePlan(io.MultiReader(strings.NewReader("\n\xfc\n"), iotest.ErrReader(broken))); err != broken {
		t.Errorf("got %v", err)
	}
}

// FuzzEncode: what is encoded comes back from the library's decoders.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "a \n", "\xfc=\t\n\n", strings.Repeat("x", 200), "\r\n", ".\n=3D"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		at = min(max(at, 0), len(in))
		var q quoted
		out := q.end(q.append(q.append(nil, in[:at]), in[at:]))
		for line := range strings.SplitSeq(string(out), "\n") {
			if len(line) > quotedLine || eightBit([]byte(line)) {
				t.Fatalf("line %q", line)
			}
		}
		got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(out)))
		if err != nil || !bytes.Equal(got, in) {
			t.Fatalf("%q comes back from %q as %q, %v", in, out, got, err)
		}

		var b base64Lines
		out = b.end(b.append(b.append(nil, in[:at]), in[at:]), false)
		got, err = base64.StdEncoding.DecodeString(string(out))
		if want := bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n")); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q comes back from %q as %q, %v", in, out, got, err)
		}
	})
}

// FuzzConvert: the form has no octet over 127 in a body, is its own form, and
// what was ASCII stays as it was.
func FuzzConvert(f *testing.F) {
	for _, s := range []string{
		"", "Subject: x\n\n\xfc\n", "Content-Type: image/x\n\n\xfc",
		"Content-Type: multipart/mixed; boundary=a\n\n--a\n\n\xfc\n--a\nContent-Type: message/rfc822\n\nX: y\n\n\xfc\n--a--\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := convert(t, in)
		if err != nil {
			var r Refusal
			if !errors.As(err, &r) {
				t.Fatal(err)
			}
			return
		}
		if !eightBit([]byte(in)) && out != in {
			t.Fatalf("%q became %q", in, out)
		}
		if again, err := convert(t, out); err != nil || again != out {
			t.Fatalf("%q became %q and then %q, %v", in, out, again, err)
		}
	})
}
