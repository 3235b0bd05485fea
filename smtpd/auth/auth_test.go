package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/scram"
	"postrider/internal/wire/auth"
)

// vectors are hashes that other programs have made: argon2 (its own test),
// libxcrypt, OpenSSL; the last two are the keys of RFC 7677.
var vectors = []struct{ hash, password string }{
	{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
	{"{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"},
	{"$2b$05$abcdefghijklmnopqrstuu7nFISH/8YdwlXD3lw69A4iBUf6fvWAW", "Hello world!"},
	{"{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuu7nFISH/8YdwlXD3lw69A4iBUf6fvWAW", "Hello world!"},
	{"$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1", "Hello world!"},
	{"$5$saltstri$AcFF27v62S0zwgTU0yv0eKFexEp411.69eNIGyiG0L5", "Hello world!"},
	{"$5$rounds=1000$saltstringsaltst$cSv7nWzgUjd5.cVg4yn64CGOTkcQl1wXTNvW1OSLbZ0", "Hello world!"},
	{"{SHA512-CRYPT}$6$saltstri$TuQo8ue714Ctf4Zl7Ctg70/YwYXvMiZP8AgmExw/pTqWoUKmQ9LD2WQO4j78UOYkYf3xOZCXu6asrMlXdzzMM1", "Hello world!"},
	{"$y$j9T$abcdefghijklmnop$0v6Ko7oUZq5OJ/QdGzXAIGx/msmd/7GzdAiapbd6PD7", "Hello world!"},
	{"$y$j75$abcdefghijklmnop$Dz4c4IbXLnyhVP3lRORmHdx4lPfPAZiTB4e2cyBTF66", "Hello world!"},
	{"{PLAIN}with: colons", "with: colons"},
	{"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", "pencil"},
	{"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", "pencil"},
}

func TestHashes(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		h, ok := parseHash(v.hash)
		if !ok {
			t.Errorf("%s is not understood", v.hash)
			continue
		}
		for password, want := range map[string]bool{v.password: true, v.password + "x": false, "": false, strings.ToUpper(v.password): false, strings.Repeat("x", auth.MaxPassword): false} {
			if got, err := h.matches([]byte(password)); got != want || err != nil {
				t.Errorf("%s, %.20q: %v, %v", v.hash, password, got, err)
			}
		}
	}
}

func TestHashesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "secret", "{PLAIN}", "{SSHA}x", "$", "$9$x$y", "{CRYPT}secret", "$6$", "$6$salt", "$6$salt$short",
		"$1$toolongsalt$YMyguxXMBpd2TEZ.vS/3q1", "$1$saltstri$YMyguxXMBpd2TEZ.vS/3q:",
		"$5$rounds=9999999$saltstri$AcFF27v62S0zwgTU0yv0eKFexEp411.69eNIGyiG0L5",
		"$5$rounds=x$saltstri$AcFF27v62S0zwgTU0yv0eKFexEp411.69eNIGyiG0L5",
		"$argon2id$v=19$m=65537,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=16,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=4294967295,t=4294967295,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$2b$14$abcdefghijklmnopqrstuu7nFISH/8YdwlXD3lw69A4iBUf6fvWAW", "$2b$05$short", "$2b$",
		"$y$jFT$abcdefghijklmnop$0v6Ko7oUZq5OJ/QdGzXAIGx/msmd/7GzdAiapbd6PD7", // 256 MiB
		"$y$j9T$abc!$0v6Ko7oUZq5OJ/QdGzXAIGx/msmd/7GzdAiapbd6PD7", "$y$9T$a$b", "$y$", "$y$jzz$a$0v6Ko7oUZq5OJ/QdGzXAIGx/msmd/7GzdAiapbd6PD7",
		"{SCRAM-SHA-256}0,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"{SCRAM-SHA-256}9999999,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"{SCRAM-SHA-256}4096,,,", "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d,wfPL",
	} {
		if _, ok := parseHash(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
}

// A long password costs no more rounds than a hash may have: each reads it again.
func TestLongPasswords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rounds, size int
		computed     bool
	}{
		{5000, 512, true}, {5000, 513, false}, {300000, 447, true}, {300000, 448, false},
	} {
		password := []byte(strings.Repeat("p", c.size))
		o := old{id: '6', rounds: c.rounds, salt: "saltstri"}
		o.sum = string(o.compute(password))
		if got, err := o.matches(password); got != c.computed || err != nil {
			t.Errorf("%d rounds, %d bytes: %v, %v", c.rounds, c.size, got, err)
		}
	}
}

// book makes a file of passwords.
func bookOf(t *testing.T, lines ...string) (*passwords, *[]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "smtppasswd")
	write(t, path, lines...)
	var log []string
	return newPasswords(path, func(line string) { log = append(log, line) }), &log
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
}

func scramLine(t *testing.T, user, password string) string {
	t.Helper()
	text, err := makeHash("scram", password)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + text
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	p, log := bookOf(t, "# comment", "", "joe:{PLAIN}secret", scramLine(t, "jim", "pencil"), "broken:x", "twice:{PLAIN}a", "twice:{PLAIN}b", "no colon", ":x")
	for _, c := range []struct {
		user, password string
		want, unsure   bool
	}{
		{"joe", "secret", true, false}, {"joe", "Secret", false, false}, {"joe", "", false, false}, {"jim", "pencil", true, false},
		{"jim", "secret", false, false}, {"Joe", "secret", false, false}, {"nobody", "secret", false, false}, {"nobody", "pencil", false, false},
		{"nobody", "", false, false}, {"broken", "x", false, true}, {"twice", "a", false, true}, {"", "secret", false, false}, {"no colon", "", false, true},
	} {
		got, err := p.Password(auth.Attempt{User: c.user}, []byte(c.password))
		if got != c.want || (err != nil) != c.unsure {
			t.Errorf("%q %q: %v, %v", c.user, c.password, got, err)
		}
	}
	if n := strings.Count(strings.Join(*log, "\n"), "is not understood"); n != 4 || strings.Contains(strings.Join(*log, ""), "secret") {
		t.Errorf("log: %q", *log)
	}
	for range 200 {
		if ok, _ := p.Password(auth.Attempt{User: "somebody else"}, []byte("secret")); ok {
			t.Fatal("a name that is not there has somebody's password")
		}
	}
}

func TestFileChanges(t *testing.T) {
	t.Parallel()
	p, log := bookOf(t, "joe:{PLAIN}one")
	is := func(password string, want, unsure bool) {
		t.Helper()
		got, err := p.Password(auth.Attempt{User: "joe"}, []byte(password))
		if got != want || (err != nil) != unsure {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	is("one", true, false)
	write(t, p.path+".new", "joe:{PLAIN}two")
	if err := os.Rename(p.path+".new", p.path); err != nil {
		t.Fatal(err)
	}
	is("one", false, false)
	is("two", true, false)
	if err := os.Chmod(p.path, 0o644); err != nil {
		t.Fatal(err)
	}
	is("two", false, true)
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	is("two", false, true)
	is("two", false, true)
	if len(*log) != 2 {
		t.Errorf("log: %q", *log)
	}
	write(t, p.path, "joe:{PLAIN}three")
	is("three", true, false)
	write(t, p.path, "joe:{PLAIN}three", "x:{PLAIN}"+strings.Repeat("x", maxFile))
	is("three", false, true)
}

func TestMechanisms(t *testing.T) {
	t.Parallel()
	argon := "a:" + vectors[1].hash
	for _, c := range []struct {
		lines []string
		want  auth.Mechanisms
	}{
		{nil, auth.Passwords},
		{[]string{argon}, auth.Passwords},
		{[]string{"joe:{PLAIN}x"}, auth.Passwords | auth.CRAMMD5 | auth.SCRAMSHA256},
		{[]string{"joe:{PLAIN}x", argon}, auth.Passwords | auth.CRAMMD5},
		{[]string{scramLine(t, "jim", "x")}, auth.Passwords | auth.SCRAMSHA256},
		{[]string{scramLine(t, "jim", "x"), argon}, auth.Passwords},
	} {
		p, _ := bookOf(t, c.lines...)
		if got := p.Mechanisms(); got != c.want {
			t.Errorf("%q: %b, want %b", c.lines, got, c.want)
		}
	}
}

// RFC 2195 section 2.
func TestCRAM(t *testing.T) {
	t.Parallel()
	p, _ := bookOf(t, "tim:{PLAIN}tanstaaftanstaaf", scramLine(t, "jim", "pencil"))
	const challenge = "<1896.697170952@postoffice.reston.mci.net>"
	digest := []byte("\xb9\x13\xa6\x02\xc7\xed\xa7\xa4\x95\xb4\xe6\xe7\x33\x4d\x38\x90")
	for user, want := range map[string]bool{"tim": true, "jim": false, "nobody": false} {
		if got, err := p.CRAM(auth.Attempt{User: user}, []byte(challenge), digest); got != want || err != nil {
			t.Errorf("%s: %v, %v", user, got, err)
		}
	}
	empty := hmac.New(md5.New, nil)
	empty.Write([]byte(challenge))
	for _, user := range []string{"jim", "nobody"} {
		if ok, _ := p.CRAM(auth.Attempt{User: user}, []byte(challenge), empty.Sum(nil)); ok {
			t.Errorf("%s has an empty password", user)
		}
	}
}

// login goes through SCRAM as a client that knows a password.
func login(t *testing.T, p *passwords, user, password string) bool {
	t.Helper()
	salt, iterations, err := p.Salt(auth.Attempt{User: user})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := scram.Derive(password, salt, iterations)
	if err != nil {
		t.Fatal(err)
	}
	message := "n=" + user + ",r=x,r=xy,s=...,i=1,c=biws,r=xy"
	signature, ok, err := p.Proof(auth.Attempt{User: user}, []byte(message), proofOf(t, password, salt, iterations, message))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := keys.Verify([]byte(message), proofOf(t, password, salt, iterations, message)); ok && string(signature) != string(want) {
		t.Errorf("%s: another signature", user)
	}
	return ok
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	p, _ := bookOf(t, "joe:{PLAIN}secret", scramLine(t, "jim", "pencil"), "a:"+vectors[1].hash)
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{"joe", "secret", true}, {"joe", "x", false}, {"joe", "", false}, {"jim", "pencil", true}, {"jim", "x", false},
		{"a", "password", false}, {"a", "", false}, {"nobody", "secret", false}, {"nobody", "", false}, {"nobody", "pencil", false},
	} {
		if got := login(t, p, c.user, c.password); got != c.want {
			t.Errorf("%s %q: %v", c.user, c.password, got)
		}
	}
	one, n, _ := p.Salt(auth.Attempt{User: "nobody"})
	two, m, _ := p.Salt(auth.Attempt{User: "nobody"})
	other, _, _ := p.Salt(auth.Attempt{User: "nobody2"})
	if string(one) != string(two) || n != m || string(one) == string(other) || len(one) != saltSize {
		t.Errorf("invented salts: %x %x %x", one, two, other)
	}
}

func FuzzBook(f *testing.F) {
	for _, v := range vectors {
		f.Add("joe:" + v.hash + "\n")
	}
	f.Add("a:b\n:\n#\n\x00:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, wrong := parseBook(text, make([]byte, keySize))
		if lines := strings.Count(text, "\n") + 1; len(b.accounts)+len(wrong) > 2*lines {
			t.Fatalf("%d accounts, %d wrong, %d lines", len(b.accounts), len(wrong), lines)
		}
		for user, a := range b.accounts {
			if !isUser(user) {
				t.Fatalf("user %q", user)
			}
			if argon, is := a.hash.(argon); is && (argon.memory > maxMemory || argon.memory*argon.passes > maxWork) {
				t.Fatalf("%+v is too dear", argon)
			}
		}
	})
}

// FuzzHash computes what has been parsed, as far as it is cheap: a hash that
// makes a library panic would end the daemon.
func FuzzHash(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.hash, v.password)
		f.Add(v.hash, "\x00")
		f.Add(strings.Replace(v.hash, "a", ".", 1), strings.Repeat("x", 73))
	}
	f.Add("$y$j.5$abc$"+strings.Repeat(".", 43), "x")
	f.Add("$y$j75$$"+strings.Repeat(".", 43), "x")
	f.Fuzz(func(t *testing.T, text, password string) {
		h, ok := parseHash(text)
		if !ok || len(password) > 100 {
			return
		}
		switch h := h.(type) {
		case argon:
			ok = h.memory*h.passes <= 1<<10
		case blowfish:
			ok = h[len("$2b$"):len("$2b$05")] <= "05"
		case old:
			ok = h.rounds <= usualRounds
		case modern:
			ok = strings.IndexByte(cryptAlphabet, h[len("$y$j")]) <= 9
		case keys:
			ok = h.Iterations <= usualIterations
		}
		if ok {
			_, _ = h.matches([]byte(password)) // an error is temporary
		}
	})
}

// 1,000 attempts at once are answered in bounded memory: argon2 at its dearest.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := bookOf(t, "joe:"+vectors[1].hash)
	client, end := serve(t, p)
	defer end()
	results := make(chan auth.Verdict)
	for i := range 1000 {
		go func() {
			v, err := client.Password(auth.Attempt{User: []string{"joe", "nobody"}[i%2], Client: "192.0.2.1"}, []byte([]string{"password", "x"}[i%4/2]))
			if err != nil {
				t.Error(err)
			}
			results <- v
		}()
	}
	good, limited := 0, 0
	for range 1000 {
		v := <-results
		if v.OK {
			good++
		}
		if v.Limited {
			limited++
		}
	}
	if good == 0 || good > 250 || limited == 0 {
		t.Errorf("%d were let in, %d not looked at", good, limited)
	}
}
