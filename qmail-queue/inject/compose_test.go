package inject

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"postrider/internal/world"
)

func plusHome(t testing.TB) string {
	return home(t, controlFiles{"me": "me.example.org\n", "plusdomain": "plus.example.net\n"})
}

// testComposer returns a composer as `qmail-inject -h` has it.
func testComposer(t testing.TB, source source, dir string) (*composer, *bytes.Buffer) {
	t.Helper()
	w := world.World{
		Args:    []string{"qmail-inject"},
		Environ: []string{"USER=user"},
		Home:    dir,
		Clock:   fixedClock{},
	}
	c, err := newComposer(w, request{source: source})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.writeTo(bufio.NewWriter(&out))
	return c, &out
}

// compose returns the header that head becomes without what is added, and the
// recipients.
func (c *composer) compose(out *bytes.Buffer, head string) (string, []string, error) {
	if err := c.look(head); err != nil {
		return "", nil, err
	}
	if err := c.generate(); err != nil {
		return "", nil, err
	}
	if err := c.out.Flush(); err != nil {
		return "", nil, err
	}
	out.Reset()
	if err := c.fields(); err != nil {
		return "", nil, err
	}
	if err := c.out.Flush(); err != nil {
		return "", nil, err
	}
	var recipients []string
	err := c.forEach(func(r string) error {
		recipients = append(recipients, r)
		return nil
	})
	return out.String(), recipients, err
}

// FuzzCompose: what is accepted is a header, its recipients are clean, and
// queued again it is the same.
func FuzzCompose(f *testing.F) {
	for _, file := range injectionFiles(f) {
		for _, c := range readInjections(f, file) {
			if len(c.input) < 1000 {
				f.Add(c.input)
			}
		}
	}
	f.Add("To: a\nResent-To: b\nBcc: c\n d\n")
	dir := plusHome(f)
	f.Fuzz(func(t *testing.T, in string) {
		msg, err := readHeader(strings.NewReader(in))
		if err != nil {
			return
		}
		composer, out := testComposer(t, fromHeader, dir)
		once, recipients, err := composer.compose(out, msg.head)
		if err != nil {
			return
		}
		for _, r := range recipients {
			if strings.ContainsAny(r, "\r\n\x00\t") || !strings.Contains(r, "@") {
				t.Fatalf("%q names %q", in, r)
			}
		}
		if composer.survey.resent && !surveyHeader(once, composer.letters).resent {
			return // what says that it is sent again is among what is added
		}
		read, err := readHeader(strings.NewReader(once))
		if err != nil || read.head != once {
			t.Fatalf("%q became %q, which has the header %q", in, once, read.head)
		}
		composer, out = testComposer(t, fromHeader, dir)
		if twice, _, err := composer.compose(out, once); err != nil || twice != once {
			t.Fatalf("%q became %q, then %q, error %v", in, once, twice, err)
		}
	})
}
