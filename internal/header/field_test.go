package header

import "testing"

func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, name string
		ok         bool
	}{
		{"To: a@b\n", "To", true},
		{"To:a", "To", true},
		{"To \t: a", "To", true},
		{"X-!#~: a", "X-!#~", true},
		{"To", "", false},
		{": a", "", false},
		{" : a", "", false},
		{"T o: a", "", false},
		{" To: a", "", false},
		{"T\x7f: a", "", false},
		{"T\xc3\xb6: a", "", false},
		{"", "", false},
		{"\n", "", false},
	} {
		name, ok := Name(c.line)
		if name != c.name || ok != c.ok {
			t.Errorf("Name(%q) = %q, %v, want %q, %v", c.line, name, ok, c.name, c.ok)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	head := "A: 1\nB: 2\n 3\n\t4\nC:\n"
	for _, want := range []struct{ field, name, body string }{
		{"A: 1\n", "A", " 1"},
		{"B: 2\n 3\n\t4\n", "B", " 2\n 3\n\t4"},
		{"C:\n", "C", ""},
	} {
		var field string
		field, head = Next(head)
		f := Split(field)
		if field != want.field || f.Name != want.name || f.Body != want.body {
			t.Errorf("got %q, %q, %q, want %q", field, f.Name, f.Body, want)
		}
	}
	if len(head) != 0 {
		t.Errorf("%q is left", head)
	}
}

// FuzzNext: the fields joined are the header.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"A: 1\nB: 2\n 3\n", "no field", "\n\n", "A:\n \n B", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, head string) {
		var all string
		for rest := head; len(rest) > 0; {
			var field string
			field, rest = Next(rest)
			if len(field) == 0 {
				t.Fatalf("%q: empty field", head)
			}
			Split(field)
			all += field
		}
		if all != head {
			t.Fatalf("%q split is %q", head, all)
		}
	})
}
