package auth

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/wire/auth"
)

// salted is what SCRAM tells of a name.
func salted(t *testing.T, p *passwords, user string) string {
	t.Helper()
	salt, iterations, err := p.Salt(auth.Attempt{User: user})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %x", iterations, salt)
}

// Who asks for salts again after a start, or after a change of the file, does
// not learn who is there: not even where users have keys of several kinds.
func TestSaltsStay(t *testing.T) {
	t.Parallel()
	lines := []string{keyWord + strings.Repeat("A", 43) + "="} // each run has the same ring
	for i := range 20 {
		line := scramLine(t, fmt.Sprint("user", i), "x")
		if i%2 == 0 {
			line = strings.Replace(line, "}10000,", "}4096,", 1)
		}
		lines = append(lines, line)
	}
	lines = append(lines, "joe:{PLAIN}secret", `longsalt:{SCRAM-SHA-256}4096,`+strings.Repeat("QUFB", 12)+`,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=`)
	p, log := bookOf(t, lines...)
	const names = 100
	before := make(map[string]string)
	for i := range names {
		name := fmt.Sprint("nobody", i)
		before[name] = salted(t, p, name)
	}
	before["user3"], before["joe"] = salted(t, p, "user3"), salted(t, p, "joe")
	sizes := make(map[int]int)
	for _, s := range before {
		sizes[len(s)]++
	}
	if len(sizes) < 3 {
		t.Errorf("salts of unknown names do not look like those of users: %v", sizes)
	}
	for name, was := range before {
		if is := salted(t, newPasswords(p.path, func(string) {}), name); is != was {
			t.Errorf("%s after a start: %s, before %s", name, is, was)
		}
	}
	write(t, p.path, append(lines, "new:{PLAIN}x")...)
	changed := 0
	for name, was := range before {
		if salted(t, p, name) != was {
			changed++
		}
	}
	if changed > names/2 {
		t.Errorf("a user more: %d of %d names have another salt", changed, names)
	}
	if len(*log) > 0 {
		t.Errorf("log: %q", *log)
	}
}

// The file's secret is the first thing that qmail-authpw writes, and stays.
func TestFileIsEdited(t *testing.T) {
	t.Parallel()
	first, found := edited("", "joe", "joe:one\n")
	key, rest, _ := strings.Cut(first, "\n")
	if _, isKey := parseKey(key); !isKey || rest != "joe:one\n" || found {
		t.Fatalf("%q, %v", first, found)
	}
	for _, c := range []struct {
		before, user, line, want string
		found                    bool
	}{
		{"joe:one\n", "joe", "joe:two\n", "joe:two\n", true},
		{"joe:one\n", "jim", "jim:two\n", "joe:one\njim:two\n", false},
		{"joe:one", "jim", "jim:two\n", "joe:one\njim:two\n", false},
		{"# a\n\njoe:one\njim:two\njoe:three\n", "joe", "joe:four\n", "# a\n\njoe:four\njim:two\n", true},
		{"joe:one\njim:two\n", "joe", "", "jim:two\n", true},
		{"joe@example.org:one\n", "joe", "", "joe@example.org:one\n", false},
	} {
		text, found := edited(key+"\n"+c.before, c.user, c.line)
		if text != key+"\n"+c.want || found != c.found {
			t.Errorf("%q, %s: %q, %v", c.before, c.user, text, found)
		}
	}
	if again, _ := edited("", "joe", "joe:one\n"); again == first {
		t.Error("two files have one secret")
	}
	for _, wrong := range []string{"#key", "#key ", "#key x", "#key AAAA", "key AAAA", strings.ToUpper(key)} {
		if _, isKey := parseKey(wrong); isKey {
			t.Errorf("%q is a secret", wrong)
		}
	}
}
