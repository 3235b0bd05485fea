package dotqmail

import (
	"slices"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, dash, ext string
		want            []string // name, or name=DEFAULT
	}{
		{"user alone", "", "", []string{".qmail", ".qmaildefault="}},
		{"no extension", "-", "", []string{".qmail-", ".qmail-default="}},
		{"cascade", "-", "a-b-c", []string{".qmail-a-b-c", ".qmail-a-b-default=c", ".qmail-a-default=b-c", ".qmail-default=a-b-c"}},
		{"dash at the end", "-", "a-", []string{".qmail-a-", ".qmail-a-default=", ".qmail-default=a-"}},
		{"vector A.7", "-", "A-b.C-d", []string{".qmail-a-b:c-d", ".qmail-a-b:c-default=d", ".qmail-a-default=b.C-d", ".qmail-default=A-b.C-d"}},
		{"exact file that ends in default", "-", "Foo-Default", []string{".qmail-foo-default=Default", ".qmail-foo-default=Default", ".qmail-default=Foo-Default"}},
		{"another break", "-", "a+B-c", []string{".qmail-a+b-c", ".qmail-a+b-default=c", ".qmail-a+default=B-c", ".qmail-default=a+B-c"}},
		{"no way up", "-", "../../x", []string{".qmail-::/::/x", ".qmail-default=../../x"}},
	} {
		var got []string
		for candidate := range Candidates(c.dash, c.ext, "-+") {
			name := candidate.Name
			if candidate.Default != nil {
				name += "=" + *candidate.Default
			}
			got = append(got, name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOwnerNames(t *testing.T) {
	t.Parallel()
	owner, each := OwnerNames("-", "My.List")
	if owner != ".qmail-my:list-owner" || each != ".qmail-my:list-owner-default" {
		t.Errorf("got %q, %q", owner, each)
	}
}

func TestInstructions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text  string
		forwardOnly bool
		want        []Instruction
	}{
		{"empty", "", false, nil},
		{"only comments", "# a\n#\n", false, nil},
		{"all kinds", "./Maildir/\n/var/mail/joe\n.box\n|prog arg \t\n&joe@x\njim@y\n", false, []Instruction{
			{Kind: Maildir, Text: "./Maildir/"}, {Kind: Mbox, Text: "/var/mail/joe"}, {Kind: Mbox, Text: ".box"}, {Kind: Program, Text: "prog arg"}, {Kind: Forward, Text: "joe@x"}, {Kind: Forward, Text: "jim@y"}}},
		{"no line end at the end", "joe", false, []Instruction{{Kind: Forward, Text: "joe"}}},
		{"blanks after &", "& joe", false, []Instruction{{Kind: Forward, Text: " joe"}}},
		{"blank in front is an address", " ./Maildir/", false, []Instruction{{Kind: Forward, Text: " ./Maildir/"}}},
		{"empty lines later", "joe\n\n \njim\n", false, []Instruction{{Kind: Forward, Text: "joe"}, {Kind: Forward, Text: "jim"}}},
		{"first line empty", "\njoe\n", false, []Instruction{{Kind: Refusal, Text: blankFirst}}},
		{"first line of blanks", " \t\njoe\n", false, []Instruction{{Kind: Refusal, Text: blankFirst}}},
		{"unknown + lines", "+foo\n+\n+list2\n|p\n", false, []Instruction{{Kind: Program, Text: "p"}}},
		{"+lmtp", "+lmtp unix:/s\n+lmtp\tinet:[::1]:24 $EXT@x \n+lmtpx\n+lmtp", false, []Instruction{{Kind: LMTP, Text: "unix:/s"}, {Kind: LMTP, Text: "inet:[::1]:24 $EXT@x"}, {Kind: LMTP, Text: ""}}},
		{"+lmtp where only forwards may be", "joe\n+lmtp unix:/s\n", true, []Instruction{{Kind: Forward, Text: "joe"}, {Kind: Refusal, Text: noFiles}}},
		{"+list", "|before\n+list\njoe\n|p\njim\n", false, []Instruction{{Kind: Program, Text: "before"}, {Kind: Forward, Text: "joe"}, {Kind: Refusal, Text: noPrograms}}},
		{"x bit", "joe\n./Maildir/\n", true, []Instruction{{Kind: Forward, Text: "joe"}, {Kind: Refusal, Text: noFiles}}},
		{"carriage returns stay", "./Maildir/\r\n", false, []Instruction{{Kind: Mbox, Text: "./Maildir/\r"}}},
		{"zero byte", "joe\x00rest\njim\n", false, []Instruction{{Kind: Forward, Text: "joe"}, {Kind: Forward, Text: "jim"}}},
		{"shell line is not looked at", "|`a`;$(b) && c", false, []Instruction{{Kind: Program, Text: "`a`;$(b) && c"}}},
	} {
		got := slices.Collect(Instructions(c.text, c.forwardOnly))
		for i := range got {
			got[i].Line = 0 // TestLineNumbers
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLineNumbers(t *testing.T) {
	t.Parallel()
	var got []int
	for i := range Instructions("# a\njoe\n\n+list\njim\n|p\n", false) {
		got = append(got, i.Line)
	}
	if want := []int{2, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
}

func FuzzInstructions(f *testing.F) {
	f.Add("./Maildir/\n|prog\n&a\n+list\n#\n", false)
	f.Add("\n", true)
	f.Add("\x00\n/\n", false)
	f.Fuzz(func(t *testing.T, text string, forwardOnly bool) {
		done := false
		for i := range Instructions(text, forwardOnly) {
			if done {
				t.Fatal("an instruction after a refusal")
			}
			done = i.Kind == Refusal
			if strings.ContainsAny(i.Text, "\n\x00") {
				t.Errorf("text %q", i.Text)
			}
			if forwardOnly && i.Kind < Forward {
				t.Errorf("%v in a file that may only forward", i)
			}
		}
	})
}

func FuzzCandidates(f *testing.F) {
	f.Add("-", "a-B.c+d")
	f.Fuzz(func(t *testing.T, dash, ext string) {
		n := 0
		for c := range Candidates(dash, ext, "+") {
			n++
			rest := c.Name[len(prefix)+len(dash):]
			if strings.ContainsAny(rest, ".ABCXYZ") {
				t.Errorf("name %q", c.Name)
			}
			if c.Default != nil && !strings.HasSuffix(ext, *c.Default) {
				t.Errorf("DEFAULT %q of %q", *c.Default, ext)
			}
		}
		if n != 2+strings.Count(ext, "-")+strings.Count(ext, "+") {
			t.Errorf("%d names for %q", n, ext)
		}
	})
}

// Who has found his file looks for no other, and reads no further than he wants.
func TestStops(t *testing.T) {
	t.Parallel()
	for want := range 4 {
		n := 0
		for range Candidates("-", "a-b-c", "-") {
			if n++; n > want {
				break
			}
		}
		if n != want+1 {
			t.Errorf("%d names after %d", n, want)
		}
	}
	for range Instructions("a\nb\n", false) {
		break
	}
}

func TestSafeNames(t *testing.T) {
	t.Parallel()
	owner, _ := OwnerNames("-", "AZaz.@[`{")
	if want := ".qmail-azaz:@[`{-owner"; owner != want {
		t.Errorf("%q, want %q", owner, want)
	}
}
