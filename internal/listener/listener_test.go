package listener

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	known := []string{"tls", "proxy"}
	for _, c := range []struct{ line, want string }{
		{":2525", "0.0.0.0:2525 [::]:2525"},
		{"127.0.0.1:25", "127.0.0.1:25"},
		{"[::1]:25 tls", "[::1]:25 +tls"},
		{"[::1]:25\ttls  proxy ", "[::1]:25 +tls +proxy"},
		{"[fe80::1%2]:25", "[fe80::1%2]:25"},
		{"[fe80::1%eth0]:25", "interface"},
		{"localhost:25", "not address:port"},
		{"127.0.0.1", "not address:port"},
		{":0", "no port"},
		{":65536", "no port"},
		{"[::ffff:127.0.0.1]:25", "::ffff:"},
		{"::1:25", "no port"},
		{":25\r", "no port"},
		{"", "no address"},
		{":25 tsl", `"tsl" is none of: tls, proxy`},
		{":25 tls tls", "twice"},
	} {
		addresses, words, err := Parse(c.line, known)
		var got []string
		for _, a := range addresses {
			got = append(got, a.String())
		}
		for _, w := range words {
			got = append(got, "+"+w)
		}
		switch {
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want %s", c.line, err, c.want)
		case err == nil && strings.Join(got, " ") != c.want:
			t.Errorf("%q: %v, want %s", c.line, got, c.want)
		}
	}
	if _, _, err := Parse(":25 tls", nil); err == nil || !strings.Contains(err.Error(), "nothing may follow") {
		t.Errorf("a word where none is known: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{":25", "127.0.0.1:25 tls", "[::1]:25", "[fe80::1%eth0]:25", "::", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		addresses, words, err := Parse(line, []string{"tls"})
		if err == nil && len(addresses) == 0 {
			t.Fatalf("%q: nothing and no error", line)
		}
		for _, at := range addresses {
			if !at.IsValid() || at.Port() == 0 {
				t.Fatalf("%q: %v", line, at)
			}
		}
		if len(words) > 1 {
			t.Fatalf("%q: %q", line, words)
		}
	})
}
