package smtpwire

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/lineartest"
)

// decode feeds input in the given pieces and returns what came out.
func decode(pieces ...string) (out string, rest string, ended bool, flaw Flaw) {
	var d Decoder
	var dst []byte
	for i, piece := range pieces {
		n := 0
		dst, n = d.Append(dst, []byte(piece))
		if n < len(piece) {
			return string(dst), piece[n:] + strings.Join(pieces[i+1:], ""), d.Ended(), d.Flaw()
		}
	}
	return string(dst), "", d.Ended(), d.Flaw()
}

// slow is the obvious decoder: it finds the end in the whole text first.
func slow(input string) (out, rest string, ended bool, flaw Flaw) {
	text := "\r\n" + input
	end := strings.Index(text, "\r\n.\r\n")
	body := input
	if end >= 0 {
		ended = true
		rest = text[end+5:]
		body = text[:end+2]
		body = strings.TrimPrefix(body, "\r\n")
	}
	seen := body
	if !ended {
		// What may be the start of an end mark is held back.
		for _, held := range []string{".\r", ".", "\r"} {
			start := strings.HasSuffix("\r\n"+body, "\r\n"+held) || held == "\r"
			if start && strings.HasSuffix(body, held) {
				body = strings.TrimSuffix(body, held)
				break
			}
		}
	}
	for i := range len(seen) {
		bareLF := seen[i] == '\n' && (i == 0 || seen[i-1] != '\r')
		bareCR := seen[i] == '\r' && i+1 < len(seen) && seen[i+1] != '\n'
		if flaw == NoFlaw && bareLF {
			flaw = BareLF
		} else if flaw == NoFlaw && bareCR {
			flaw = BareCR
		}
	}
	lines := strings.Split(body, "\r\n")
	for i, line := range lines {
		// ". LF" and ". CR" in the middle of what is refused keep their dot.
		if strings.HasPrefix(line, ".") && !strings.HasPrefix(line, ".\n") && !strings.HasPrefix(line, ".\r") {
			lines[i] = line[1:]
		}
	}
	return strings.Join(lines, "\n"), rest, ended, flaw
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, out, rest string
		flaw                Flaw
	}{
		{"empty message", ".\r\n", "", "", NoFlaw},
		{"one line", "hello\r\n.\r\n", "hello\n", "", NoFlaw},
		{"an empty line", "\r\n.\r\n", "\n", "", NoFlaw},
		{"what follows stays", "a\r\n.\r\nRSET\r\n", "a\n", "RSET\r\n", NoFlaw},
		{"stuffed dot", "..\r\n.\r\n", ".\n", "", NoFlaw},
		{"stuffed line", "..x\r\n.\r\n", ".x\n", "", NoFlaw},
		{"leading dot goes (spec A.8)", ".x\r\n.\r\n", "x\n", "", NoFlaw},
		{"dot inside a line", "a.\r\n.\r\n", "a.\n", "", NoFlaw},
		{"NUL and 8-bit stay", "a\x00\xff\r\n.\r\n", "a\x00\xff\n", "", NoFlaw},
		{"CR CR LF (spec A.8)", "foo\r\r\n.\r\n", "foo\r\n", "", BareCR},
		{"dot CR q (spec A.8)", ".\rq\r\n.\r\n", ".\rq\n", "", BareCR},
		{"dot CR CR LF", ".\r\r\n.\r\n", ".\r\n", "", BareCR},
		{"LF first", "\n.\r\n\r\n.\r\n", "\n.\n\n", "", BareLF},
		{"CR first", "\r.\r\n\r\n.\r\n", "\r.\n\n", "", BareCR},
		{"LF dot is no line start", "a\n.b\r\n.\r\n", "a\n.b\n", "", BareLF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for split := 0; split <= len(c.in); split++ {
				out, rest, ended, flaw := decode(c.in[:split], c.in[split:])
				if out != c.out || rest != c.rest || !ended || flaw != c.flaw {
					t.Errorf("split at %d: %q, rest %q, ended %v, flaw %v", split, out, rest, ended, flaw)
				}
			}
		})
	}
}

// lineEnds are the pieces of which wrong end marks are made (R30).
var lineEnds = []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\x00", "\x00\r\n", "\n\n"}

// Invariant 1: of all end marks built from those pieces only the real one ends.
func TestOnlyTheRealEndMarkEnds(t *testing.T) {
	t.Parallel()
	for _, before := range lineEnds {
		for _, dot := range []string{".", "..", ".\x00", " ."} {
			for _, after := range lineEnds {
				mark := before + dot + after
				in := "text" + mark + "MAIL FROM:<evil@example.org>\r\n.\r\nRSET\r\n"
				wantOut, wantRest, _, wantFlaw := slow(in)
				for split := 0; split <= len(in); split++ {
					out, rest, ended, flaw := decode(in[:split], in[split:])
					if !ended || rest != wantRest || flaw != wantFlaw || out != wantOut {
						t.Fatalf("%q split at %d: out %q rest %q flaw %v; want %q, %q, %v", mark, split, out, rest, flaw, wantOut, wantRest, wantFlaw)
					}
				}
			}
		}
	}
}

// All inputs of up to seven octets over the alphabet that matters, whole and
// octet by octet.
func TestAgainstSlowDecoderExhaustively(t *testing.T) {
	t.Parallel()
	alphabet := "\r\n.a"
	var try func(prefix string, left int)
	try = func(prefix string, left int) {
		compare(t, prefix)
		if left == 0 || t.Failed() {
			return
		}
		for i := range alphabet {
			try(prefix+alphabet[i:i+1], left-1)
		}
	}
	try("", 7)
}

func compare(t *testing.T, in string) {
	t.Helper()
	wantOut, wantRest, wantEnded, wantFlaw := slow(in)
	for _, pieces := range [][]string{{in}, strings.Split(in, "")} {
		out, rest, ended, flaw := decode(pieces...)
		if out != wantOut || rest != wantRest || ended != wantEnded || flaw != wantFlaw {
			t.Errorf("%q in %d pieces: %q rest %q ended %v flaw %v; want %q, %q, %v, %v",
				in, len(pieces), out, rest, ended, flaw, wantOut, wantRest, wantEnded, wantFlaw)
		}
	}
}

// Invariant 3.
func TestAppendIsBounded(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"\r\r\r\r", ".\r\r.", "..\r\n..", "\n\n.\n"} {
		for split := range len(in) + 1 {
			var d Decoder
			first, _ := d.Append(nil, []byte(in[:split]))
			second, _ := d.Append(nil, []byte(in[split:]))
			if len(first) > split || len(second) > len(in)-split+MaxHeld {
				t.Errorf("%q split at %d gave %q and %q", in, split, first, second)
			}
		}
	}
}

// R43: the worst input in one piece.
func TestDecoderIsLinear(t *testing.T) {
	lineartest.Check(t, lineartest.Size, func(text string) {
		var d Decoder
		d.Append(make([]byte, 0, len(text)+MaxHeld), []byte(text))
		chunked(text)
	}, lineartest.Units("\r", "a\r", "\n", ".\r", "\r\n.", "a", "\r\n..", "a\r\n"))
}

func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{"", ".\r\n", "a\r\n.\r\nb", "\n.\n", "\r\n.\r", "..\r\n\r.\r\n.\r\n", "a\r\r\n.\r\r\n"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, in string, split int) {
		compare(t, in)
		if split < 0 || split > len(in) {
			return
		}
		out, rest, ended, flaw := decode(in[:split], in[split:])
		wantOut, wantRest, wantEnded, wantFlaw := slow(in)
		if out != wantOut || rest != wantRest || ended != wantEnded || flaw != wantFlaw {
			t.Fatalf("%q split at %d: %q rest %q ended %v flaw %v", in, split, out, rest, ended, flaw)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	in := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000))
	dst := make([]byte, 0, len(in)+MaxHeld)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var d Decoder
		d.Append(dst, in)
	}
}

func ExampleDecoder() {
	var d Decoder
	message, n := d.Append(nil, []byte("Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n"))
	fmt.Printf("%q, %d octets, %v\n", message, n, d.Ended())
	// Output: "Subject: x\n\n.\n", 21 octets, true
}
