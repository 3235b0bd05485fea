package legible

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestText has characters that are left, and others that are not.
func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, line, ascii string }{
		{"plain, with a blank", "plain, with a blank", "plain, with a blank"},
		{"Grüße, 日本語\u3000と 한국어", "Grüße, 日本語\u3000と 한국어", "Gr__e, _____ ___"},
		{"a\x1b[2J\u009b2J\x7f\xff\nü\t.", "a_[2J_2J___\u00fc_.", "a_[2J_2J____ ."},
		{"txt.\u202egpj.exe\u202c", "txt._gpj.exe_", "txt._gpj.exe_"},
		{"\u2066a\u2067b\u2068c\u2069d\u061ce\u200ef\u200fg", "_a_b_c_d_e_f_g", "_a_b_c_d_e_f_g"},
		{"ali\u200bce\u2060\ufeff\u00ad\u034f\u115f\u3164\u180e", "ali_ce_______", "ali_ce_______"},
		{"a\U000e0001\U000e0041\U000e007f\u2028\u2029\ue000", "a______", "a______"},
	} {
		if got := Line(c.in); got != c.line {
			t.Errorf("%+q: %+q, want %+q", c.in, got, c.line)
		}
		if got := ASCII(c.in); got != c.ascii {
			t.Errorf("%+q: %+q, want %+q", c.in, got, c.ascii)
		}
		got := Text(c.in)
		if strings.Count(got, "\n") != strings.Count(c.in, "\n") || strings.Count(got, "\t") != strings.Count(c.in, "\t") ||
			strings.NewReplacer("\n", "_", "\t", "_").Replace(got) != c.line {
			t.Errorf("%+q: %+q as text", c.in, got)
		}
	}
}

// TestJSON: all characters there are come back from what is written, and that
// prints.
func TestJSON(t *testing.T) {
	t.Parallel()
	var all []rune
	for c := rune(0); c <= unicode.MaxRune; c++ {
		if utf8.ValidRune(c) {
			all = append(all, c)
		}
	}
	for some := range slices.Chunk(all, 1000) {
		var b strings.Builder
		want := string(some)
		if err := json.NewEncoder(JSON(&b)).Encode(want); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal([]byte(b.String()), &got); err != nil || got != want {
			t.Fatalf("from %U: %q, %v", some[0], b.String(), err)
		}
		for _, c := range strings.TrimSuffix(b.String(), "\n") {
			if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs, unicode.Co) || Line(string(c)) != string(c) {
				t.Errorf("%U is written", c)
			}
		}
	}
}
