package getopt

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string // split at |
		opts string // letter=value,...
		rest string
		err  string
	}{
		{"", "", "", ""},
		{"x", "", "x", ""},
		{"-a", "a=", "", ""},
		{"-ac|x", "a=,c=", "x", ""},
		{"-bval", "b=val", "", ""},
		{"-b|val", "b=val", "", ""},
		{"-abval|y", "a=,b=val", "y", ""},
		{"-b|-a", "b=-a", "", ""},
		{"-b||x", "b=", "x", ""},
		{"-a|--|-c", "a=", "-c", ""},
		{"-a|-|-c", "a=", "-|-c", ""},
		{"x|-a", "", "x|-a", ""},
		{"-a||-c", "a=", "|-c", ""},
		{"-a|-a|-b|1|-b2", "a=,a=,b=1,b=2", "", ""},
		{"-o|x", "o=", "x", ""},
		{"-oval|x", "o=val", "x", ""},
		{"-ao|x", "a=,o=", "x", ""},
		{"-o", "o=", "", ""},
		{"-x", "", "", "illegal option -- x"},
		{"-ax|y", "a=", "y", "illegal option -- x"},
		{"-:", "", "", "illegal option -- :"},
		{"--help", "", "", "illegal option -- -"},
		{"-ab", "a=", "", "option requires an argument -- b"},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		opts, rest, err := Parse(args, "ab:co::")
		var got []string
		for _, o := range opts {
			got = append(got, string(rune(o.Letter))+"="+o.Value)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if g := strings.Join(got, ","); g != c.opts || strings.Join(rest, "|") != c.rest || text != c.err {
			t.Errorf("%q: options %q rest %q error %q, want %q %q %q", c.args, g, rest, text, c.opts, c.rest, c.err)
		}
	}
}

// FuzzParse checks that nothing typed is lost: an accepted command line,
// written out one option a word, reads the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"-a|-bx|--|y", "-ab|c|-", "-b||-c|x", "-|-a", "--x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		opts, rest, err := Parse(strings.Split(line, "|"), "ab:co::")
		if err != nil {
			return
		}
		var again []string
		for _, o := range opts {
			again = append(again, "-"+string(rune(o.Letter)))
			switch o.Letter {
			case 'b':
				again = append(again, o.Value)
			case 'o':
				again[len(again)-1] += o.Value
			}
		}
		again = append(append(again, "--"), rest...)
		opts2, rest2, err := Parse(again, "ab:co::")
		if err != nil || !slices.Equal(opts, opts2) || !slices.Equal(rest, rest2) {
			t.Fatalf("%q: %v %q, then %v %q, error %v", line, opts, rest, opts2, rest2, err)
		}
	})
}
