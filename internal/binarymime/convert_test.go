package binarymime

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"postrider/internal/lineartest"
)

// converted gives a Converter the pieces.
func converted(pieces ...string) (string, error) {
	var c Converter
	var out []byte
	for _, p := range pieces {
		out = c.Append(out, []byte(p))
	}
	out = c.AppendEnd(out)
	return string(out), c.Err()
}

// mixed is a message of one multipart.
func mixed(parts string) string {
	return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts
}

const (
	binaryField = "Content-Transfer-Encoding: binary\r\n"
	base64Field = "Content-Transfer-Encoding: base64\n"
	eightField  = "Content-Transfer-Encoding: 8bit\n"
)

// conversions: what comes out of what.
var conversions = []struct{ name, in, out string }{
	{"nothing", "", ""},
	{"an empty header", "\r\nx\r\n", "\nx\n"},
	{"no header", "x", "x\n"},
	{"lines", "Subject: x\r\n\r\na\r\nb\nc\rd\r\r\ne", "Subject: x\n\na\nb\nc\nd\n\ne\n"},
	{"a NUL in lines", "\r\n\x00\xff\r\n", "\n\x00\xff\n"},
	{"the message is binary", binaryField + "Subject: x\r\n\r\n\x00\r\n\xff\r", "Subject: x\n" + base64Field + "\nAA0K/w0=\n"},
	{"a line that is full", binaryField + "\r\n" + strings.Repeat("\x00", 57), base64Field + "\n" + strings.Repeat("A", 76) + "\n"},
	{"an octet more", binaryField + "\r\n" + strings.Repeat("\x00", 58), base64Field + "\n" + strings.Repeat("A", 76) + "\nAA==\n"},
	{"binary and empty", binaryField + "\r\n", base64Field + "\n"},
	{"binary without a body", binaryField, base64Field},
	{"any case, blanks and comments", "content-transfer-ENCODING : (a (b\\)) c)\r\n\tBinary (d)\r\n\r\nx", base64Field + "\neA==\n"},
	{"said twice", binaryField + binaryField + "\r\nx", base64Field + "\neA==\n"},
	{"another encoding stays", "Content-Transfer-Encoding:\r\n  QUOTED-printable\r\n\r\n=00\r\n", "Content-Transfer-Encoding:\n  QUOTED-printable\n\n=00\n"},
	{"an encoding of words", "Content-Transfer-Encoding: 8bit binary\r\n\r\nx\r\n", "Content-Transfer-Encoding: 8bit binary\n\nx\n"},
	{"fields with like names", "Content-T: binary\r\nContent-Transfer-Encodings: binary\r\nContent-Typ: multipart/mixed\r\n\r\nx\ry", "Content-T: binary\nContent-Transfer-Encodings: binary\nContent-Typ: multipart/mixed\n\nx\ny\n"},
	{"a field that goes on in the body of another", "Subject: x\r\n Content-Transfer-Encoding: binary\r\n\r\nx\ry", "Subject: x\n Content-Transfer-Encoding: binary\n\nx\ny\n"},

	{"a part", mixed("--b\r\n" + binaryField + "\r\n\x00\r\n\r\n--b--\r\n"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + base64Field + "\nAA0K\n--b--\n"},
	{"parts", mixed("pre\r\n--b\r\n\r\na\rb\r\n--b \t\r\n" + binaryField + "\r\nx\r\n--b\r\n\r\nc\r\n--b-- \r\npost"),
		"Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\na\nb\n--b \t\n" + base64Field + "\neA==\n--b\n\nc\n--b-- \npost\n"},
	{"an empty part", mixed("--b\r\n" + binaryField + "\r\n\r\n--b--\r\n"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + base64Field + "\n--b--\n"},
	{"an empty part without its own line end", mixed("--b\r\n" + binaryField + "\r\n--b--\r\n"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + base64Field + "\n--b--\n"},
	{"a part without an empty line", mixed("--b\r\n" + binaryField + "--b\r\n\r\nx\r\n--b--"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nx\n--b--\n"},
	{"the end mark without its line end", mixed("--b\r\n" + binaryField + "\r\nx\r\n--b--"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + base64Field + "\neA==\n--b--\n"},
	{"no end mark behind lines", mixed("--b\r\n\r\nx"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n"},
	{"like a boundary, in a part", mixed("--b\r\n" + binaryField + "\r\n\n--b\r\n--b\n--bc\r\n--b--c\r\n-b\r\n--b\r\r\n--b"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + base64Field +
		"\nCi0tYg0KLS1iCi0tYmMNCi0tYi0tYw0KLWINCi0tYg0=\n--b\n"},
	{"boundaries behind any line end, in lines", mixed("--b\n\nx\r--b\r" + binaryField + "\r\nx\r\n--b--\r\n--b\n" + binaryField + "\nx\ry"),
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n" + base64Field + "\neA==\n--b--\n--b\nContent-Transfer-Encoding: binary\n\nx\ny\n"},
	{"behind the last part", mixed("--b--\r\n--b\r\n" + binaryField + "\r\nx\ry"), "Content-Type: multipart/mixed; boundary=b\n\n--b--\n--b\nContent-Transfer-Encoding: binary\n\nx\ny\n"},

	{"a multipart in binary", binaryField + mixed("--b\r\n"+binaryField+"\r\nx\r\n--b--\r\n"), "Content-Type: multipart/mixed; boundary=b\n" + eightField + "\n--b\n" + base64Field + "\neA==\n--b--\n"},
	{"a message in binary", "Content-Type: message/rfc822\r\n" + binaryField + "\r\n" + binaryField + "\r\nx", "Content-Type: message/rfc822\n" + eightField + "\n" + base64Field + "\neA==\n"},
	{"a message in a message", "Content-Type: Message/Global (x)\r\n\r\nContent-type: message/rfc822;a=b\r\n\r\n" + binaryField + "\r\nx", "Content-Type: Message/Global (x)\n\nContent-type: message/rfc822;a=b\n\n" + base64Field + "\neA==\n"},
	{"a message in base64", "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n" + binaryField + "\r\nx", "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\nContent-Transfer-Encoding: binary\n\nx\n"},
	{"a report", "Content-Type: message/delivery-status\r\n" + binaryField + "\r\na: b\r\n", "Content-Type: message/delivery-status\n" + eightField + "\na: b\n"},
	{"another message", "Content-Type: message/http\r\n" + binaryField + "\r\nx", "Content-Type: message/http\n" + base64Field + "\neA==\n"},
	{"a digest", "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n" + binaryField + "\r\n" + binaryField + "\r\nx\r\n--b\r\nContent-Type: a/b\r\n" + binaryField + "\r\n" + binaryField + "\r\n--b--",
		"Content-Type: multipart/digest; boundary=b\n\n--b\n" + eightField + "\n" + base64Field + "\neA==\n--b\nContent-Type: a/b\n" + base64Field + "\nQ29udGVudC1UcmFuc2Zlci1FbmNvZGluZzogYmluYXJ5DQo=\n--b--\n"},
	{"a multipart in a multipart", mixed("--b\r\nContent-Type: multipart/related; boundary=\"c d\"\r\n\r\n--c d\r\n" + binaryField + "\r\nx\r\n--c d--\r\nx\r\n--b\r\n" + binaryField + "\r\ny\r\n--c d\r\n--b--\r\n"),
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/related; boundary=\"c d\"\n\n--c d\n" + base64Field + "\neA==\n--c d--\nx\n--b\n" + base64Field + "\neQ0KLS1jIGQ=\n--b--\n"},
	{"an outer boundary ends inner parts", mixed("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + binaryField + "\r\nx\r\n--b\r\n" + binaryField + "\r\ny\r\n--c\r\n--b--\r\n"),
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n" + base64Field + "\neA==\n--b\n" + base64Field + "\neQ0KLS1j\n--b--\n"},
	{"a longer boundary inside", mixed("--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n" + binaryField + "\r\nx\r\n--bb--\r\n--b--\r\n"),
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n" + base64Field + "\neA==\n--bb--\n--b--\n"},
}

// Wherever the input is split, and octet by octet.
func TestConvert(t *testing.T) {
	t.Parallel()
	for _, c := range conversions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for split := range len(c.in) + 1 {
				if got, err := converted(c.in[:split], c.in[split:]); got != c.out || err != nil {
					t.Fatalf("%q split at %d: %q, %v\nwant %q", c.in, split, got, err, c.out)
				}
			}
			if got, err := converted(strings.Split(c.in, "")...); got != c.out || err != nil {
				t.Errorf("%q octet by octet: %q, %v\nwant %q", c.in, got, err, c.out)
			}
		})
	}
}

// nested returns multiparts inside each other.
func nested(depth int, pad string) string {
	text := ""
	for level := range depth {
		name := string(rune('A'+level%26)) + string(rune('a'+level/26)) + pad
		text += "Content-Type: multipart/mixed; boundary=" + name + "\r\n\r\n--" + name + "\r\n"
	}
	return text
}

func TestInconvertible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\n", ErrBoundary},
		{"no subtype", "Content-Type: multipart\r\n\r\n", ErrBoundary},
		{"an empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n", ErrBoundary},
		{"a boundary that is too long", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("x", 129) + "\r\n\r\n", ErrBoundary},
		{"the longest boundary", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("x", 128) + "\r\n\r\n", nil},
		{"a boundary that ends in a blank", "Content-Type: multipart/mixed; boundary=\"x \"\r\n\r\n", ErrBoundary},
		{"a boundary that is not ASCII", "Content-Type: multipart/mixed; boundary=\"\xff\"\r\n\r\n", ErrBoundary},
		{"a boundary without its quote", "Content-Type: multipart/mixed; boundary=\"x\r\n\r\n", ErrBoundary},
		{"a boundary of two words", "Content-Type: multipart/mixed; boundary=x y\r\n\r\n", ErrBoundary},
		{"two boundaries", "Content-Type: multipart/mixed; boundary=x; boundary=y\r\n\r\n", ErrBoundary},
		{"a boundary in pieces", "Content-Type: multipart/mixed; boundary*0=x; boundary*1=y\r\n\r\n", ErrBoundary},
		{"a boundary of both kinds", "Content-Type: multipart/mixed; boundary=x; boundary*=y\r\n\r\n", ErrBoundary},
		{"the boundary again", mixed("--b\r\n") + mixed(""), ErrBoundary},
		{"the end mark as a boundary", mixed("--b\r\nContent-Type: multipart/mixed; boundary=b--\r\n\r\n"), ErrBoundary},
		{"the boundary again behind the end", mixed("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"), nil},
		{"a multipart in base64", "Content-Transfer-Encoding: BASE64\r\n" + mixed(""), ErrEncoded},
		{"a multipart in quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n" + mixed(""), ErrEncoded},
		{"a multipart in something", "Content-Transfer-Encoding: 8-bit\r\n" + mixed(""), nil},
		{"as deep as it may be", nested(maxDepth, ""), nil},
		{"too deep", nested(maxDepth+1, ""), ErrDeep},
		{"too much of boundaries", nested(20, strings.Repeat("x", 120)), ErrDeep},
		{"two encodings", binaryField + "Content-Transfer-Encoding: 7bit\r\n\r\n", ErrTwice},
		{"two encodings, one far", "Content-Transfer-Encoding: 7bit\r\nA: b\r\n" + binaryField + "\r\n", ErrTwice},
		{"two types", "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", ErrTwice},
		{"a type that is too long", "Content-Type: a/b" + strings.Repeat(" ", maxType) + "\r\n\r\n", ErrTypeLong},
		{"the longest type", "Content-Type:" + strings.Repeat(" ", maxType) + "\r\n\r\n", nil},
		{"an encoding that is too long", "Content-Transfer-Encoding:" + strings.Repeat("\r\n ", maxEncoding) + "\r\n\r\n", ErrEncodingLong},
		{"a name that does not end", "Content-Type" + strings.Repeat(" ", maxEncoding) + "\r\n\r\n", ErrEncodingLong},
		{"no field", "x\r\n" + binaryField + "\r\n", ErrNoField},
		{"half a name", "Content-\r\n" + binaryField + "\r\n", ErrNoField},
		{"no name", ": x\r\n" + binaryField + "\r\n", ErrNoField},
		{"a name of two words", "a b: x\r\n" + binaryField + "\r\n", ErrNoField},
		{"a continuation of nothing", " x\r\n" + binaryField + "\r\n", ErrNoField},
		{"no field, in another part", mixed("--b\r\nx\r\n\r\n--b\r\nX: y\r\n" + binaryField + "\r\n--b--"), nil},
		{"no end", mixed("--b\r\n" + binaryField + "\r\nx"), ErrNoEnd},
		{"no end, almost", mixed("--b\r\n" + binaryField + "\r\nx\r\n--"), ErrNoEnd},
		{"no end, CR", mixed("--b\r\n" + binaryField + "\r\nx\r"), ErrNoEnd},
		{"an end in lines of LF", mixed("--b\n" + binaryField + "\nx\n--b--\n"), ErrNoEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for split := range len(c.in) + 1 {
				if _, err := converted(c.in[:split], c.in[split:]); !errors.Is(err, c.want) {
					t.Fatalf("%q split at %d: %v, want %v", c.in, split, err, c.want)
				}
			}
		})
	}
}

func TestBoundary(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"multipart/mixed;boundary=x":                              "x",
		" Multipart / Mixed ; Boundary = x ; a = b":               "x",
		`multipart/mixed; a="b;\"boundary=y"; boundary="x\"\\\y"`: `x"\y`,
		`multipart/mixed (boundary=y) ; boundary="x" (c)`:         "x",
		"multipart/mixed; boundary=----=_Part_1:2/3@a":            "----=_Part_1:2/3@a",
		"multipart/mixed;; boundary=x;":                           "x",
		"multipart/mixed; boundary=x; a":                          "x",
		"multipart/mixed; boundaries=y; boundary=x":               "x",
		"multipart/mixed; boundary=x(y)":                          "",
		"multipart/mixed; boundary=x\"y\"":                        "",
		"multipart/mixed; boundary":                               "",
		"multipart/mixed boundary=x":                              "",
		"multipart/mixed (; boundary=x":                           "",
	} {
		if got := parseType([]byte(value)); got.media != multipart || string(got.boundary) != want {
			t.Errorf("%q: %q, want %q", value, got.boundary, want)
		}
	}
}

func TestMemory(t *testing.T) {
	if size := unsafe.Sizeof(Converter{}); size > Memory {
		t.Errorf("a Converter has %d octets, more than %d", size, Memory)
	}
	in := []byte(strings.Repeat(binaryField+mixed("--b\r\n"+binaryField+"\r\nx\r\n--b--\r\n"), 100))
	c := new(Converter)
	out := make([]byte, 0, 4*len(in))
	if n := testing.AllocsPerRun(10, func() {
		*c = Converter{}
		c.AppendEnd(c.Append(out, in))
	}); n > 0 {
		t.Errorf("%v allocations a message", n)
	}
}

// R43: whatever comes, each octet is looked at a bounded number of times.
func TestConverterIsLinear(t *testing.T) {
	open := binaryField + nested(maxDepth, strings.Repeat("-", 60)) + binaryField + "\r\n"
	var inputs []lineartest.Input
	for _, head := range []string{"", mixed("--b\r\n"), mixed("--b\r\n" + binaryField + "\r\n"), open} {
		for _, unit := range []string{"\r", "\n", "\r\n", "--b\r\n", "\r\n--", "\r\n--" + strings.Repeat("-", 200), "\r\n--Ff" + strings.Repeat("-", 60) + "\r", "Content-T", "Content-Type:\r\n", binaryField, "a", "\x00", " ", "(", "\\"} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	lineartest.Check(t, lineartest.Size, func(text string) {
		var c Converter
		c.AppendEnd(c.Append(make([]byte, 0, 2*len(text)+MaxHeld), []byte(text)))
	}, inputs)
}

func BenchmarkConverter(b *testing.B) {
	for name, in := range map[string]string{
		"binary": mixed("--b\r\n" + binaryField + "\r\n" + strings.Repeat("0123456\r\xff", 10000) + "\r\n--b--\r\n"),
		"lines":  mixed("--b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000) + "\r\n--b--\r\n"),
	} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 2*len(in)+MaxHeld)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				var c Converter
				c.AppendEnd(c.Append(dst, []byte(in)))
			}
		})
	}
}
