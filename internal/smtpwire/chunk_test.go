package smtpwire

import (
	"strings"
	"testing"
)

func chunked(pieces ...string) string {
	var d ChunkDecoder
	var out []byte
	for _, p := range pieces {
		out = d.Append(out, []byte(p))
	}
	return string(d.AppendEnd(out))
}

func TestChunkDecoder(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                    "",
		"a":                   "a\n",
		"a\r\nb\r\n":          "a\nb\n",
		"a\nb\n":              "a\nb\n",
		"a\rb\r":              "a\nb\n",
		"a\r\r\nb":            "a\n\nb\n",
		"a\n\rb":              "a\n\nb\n",
		"\r\n.\r\n":           "\n.\n",
		"..a\r\n.\r\nb\n.\nc": "..a\n.\nb\n.\nc\n",
		"a\x00\xff\r\n":       "a\x00\xff\n",
		"\r\n\r\n":            "\n\n",
		"\r":                  "\n",
	} {
		for split := range len(in) + 1 {
			if got := chunked(in[:split], in[split:]); got != want {
				t.Errorf("%q split at %d: %q, want %q", in, split, got, want)
			}
		}
	}
}

// FuzzChunkDecoder compares with the obvious way, and what comes out with what
// the Encoder makes of it.
func FuzzChunkDecoder(f *testing.F) {
	f.Add("a\r\nb\rc\nd\r\r\n.", 3, 5)
	f.Add("\r\n.\r\n", 1, 2)
	f.Fuzz(func(t *testing.T, in string, first, second int) {
		if first < 0 || second < first || second > len(in) {
			first, second = 0, 0
		}
		want := strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		got := chunked(in[:first], in[first:second], in[second:])
		if got != want {
			t.Fatalf("%q split at %d, %d: %q, want %q", in, first, second, got, want)
		}
		var e, raw Encoder
		stored := e.AppendEnd(e.Append(nil, []byte(got)))
		direct := raw.AppendEnd(raw.Append(nil, []byte(in)))
		if string(stored) != string(direct) {
			t.Fatalf("%q goes out as %q, and as %q without the queue's line ends", in, stored, direct)
		}
		var d Decoder
		back, n := d.Append(nil, stored)
		if !d.Ended() || n != len(stored) || string(back) != got || d.Flaw() != NoFlaw {
			t.Fatalf("%q comes back as %q", got, back)
		}
	})
}
