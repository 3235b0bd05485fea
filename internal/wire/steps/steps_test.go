package steps

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
)

func sample() Answer {
	var a Answer
	a.Say("relay", Place{"/q/control/tcp.smtp", 3}, "client %s may relay", "10.0.0.1")
	a.Say("odd", Place{}, "\x00\xff \"'\n\té")
	a.Do("maildir", "./Maildir/", Place{"/home/joe/.qmail", 1})
	a.End(Fails, "no\nmailbox")
	return a
}

func TestServe(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	in := AppendQuestion(nil, "a b", "", "c\n\x00")
	in = AppendQuestion(in)
	var asked [][]string
	err := Serve(bytes.NewReader(in), &out, func(q []string) Answer {
		asked = append(asked, q)
		return sample()
	})
	if want := [][]string{{"a b", "", "c\n\x00"}, nil}; err != nil || !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %q, %v; want %q", asked, err, want)
	}
	r := NewReader(&out)
	for range asked {
		got, err := r.Answer()
		if err != nil || !reflect.DeepEqual(got, sample()) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if _, err := r.Answer(); err != io.ErrUnexpectedEOF {
		t.Errorf("behind the last answer: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "end", "end \"K\"\n", "end \"X\" \"\"\n", "end \"KK\" \"\"\n", "end \"K\" \"\"",
		"step \"a\" \"b\" \"c\" \"-1\"\n", "step \"a\" \"b\" \"c\" \"x\"\n", "step \"a\" \"b\" \"c\"\n", "other \"a\" \"b\" \"c\" \"1\"\n",
		"end \"ZD\" \"\"\n", "end \"\" \"\"\n", "end \"K\" \"\" \"\" \"1\"\n", "end \"K\"x\"\"\n", "end \"K\"  \"\"\n", "end `K` \"\"\n", "end \"K\" \"\" \n", "end \"K\" \"\n",
	} {
		if a, err := NewReader(strings.NewReader(text)).Answer(); err == nil {
			t.Errorf("%.40q is taken: %v", text, a)
		}
	}
	many := strings.Repeat("step \"\" \"\" \"\" \"0\"\n", MaxLines) + "end \"K\" \"\"\n"
	if _, err := NewReader(strings.NewReader(many)).Answer(); err != errLines {
		t.Errorf("an endless answer: %v", err)
	}
	long := "end \"K\" \"" + strings.Repeat("x", MaxLine-len("end \"K\" \"\"\n")) + "\"\n"
	if a, err := NewReader(strings.NewReader(long)).Answer(); a.Class != Goes || err != nil {
		t.Errorf("a line of %d bytes: %v", len(long), err)
	}
	if _, err := NewReader(strings.NewReader(strings.Replace(long, "x", "xx", 1))).Answer(); err != errLength {
		t.Errorf("a line of %d bytes: %v", len(long)+1, err)
	}
	// Each step has half a line of text and the number of its own line; the end
	// has the rest.
	step, n := "step \"\" \""+strings.Repeat("x", MaxLine/2-1)+"\" \"\" \"0\"\n", MaxAnswer/(MaxLine/2)-1
	wide := strings.Repeat(step, n) + "end \"K\" \"" + strings.Repeat("x", MaxLine/2-1) + "\"\n"
	if a, err := NewReader(strings.NewReader(wide)).Answer(); len(a.Steps) != n || err != nil {
		t.Errorf("the largest answer: %d steps, %v", len(a.Steps), err)
	}
	if _, err := NewReader(strings.NewReader(strings.Replace(wide, "\"0\"", "\"00\"", 1))).Answer(); err != errBytes {
		t.Errorf("a larger answer: %v", err)
	}
	if err := Serve(strings.NewReader("step\n"), io.Discard, func([]string) Answer { return Answer{} }); err == nil {
		t.Error("a question that is none is answered")
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, dir, rest string
		asked           bool
	}{
		{"p", "", "", false}, {"p|--steps", "", "", false}, {"p|x|--steps|", "", "", false},
		{"p|--steps|", "", "", true}, {"p|--steps|/c|a|b", "/c", "a|b", true},
	} {
		dir, rest, asked := Arguments(strings.Split(c.args, "|"))
		if dir != c.dir || strings.Join(rest, "|") != c.rest || asked != c.asked {
			t.Errorf("%s: %q, %q, %v", c.args, dir, rest, asked)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte("end \"?\" \"\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := NewReader(bytes.NewReader(b)).Answer()
		if err != nil {
			return
		}
		again, err := NewReader(bytes.NewReader(a.Append(nil))).Answer()
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("%v becomes %v, %v", a, again, err)
		}
	})
}

func TestServeEnds(t *testing.T) {
	t.Parallel()
	answer := func([]string) Answer { return sample() }
	r, w := io.Pipe()
	r.Close()
	if err := Serve(bytes.NewReader(AppendQuestion(nil)), w, answer); err != io.ErrClosedPipe {
		t.Errorf("nobody reads: %v", err)
	}
	for _, in := range []string{"tell \"x\"\n", "ask x\n", "ask \"\\xzz\"\n", "ask \"x\" \n", "ask `x`\n", "ask 'x'\n", "ask"} {
		var out bytes.Buffer
		if err := Serve(strings.NewReader(in), &out, answer); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %q", in, err, out.String())
		}
	}
}
