package scenario

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestBrokenConfigurations: qmail-showctl says what is wrong, where and how to mend
// it, and the programs that run meanwhile do the safe thing: they put mail off, and
// neither relay nor say that there is no such user.
func TestBrokenConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	total := 0
	for _, file := range files {
		cases := readBroken(t, file)
		total += len(cases)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			b := newBrokenHost(t)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { b.play(t, c) })
			}
		})
	}
	if total < 80 {
		t.Errorf("%d cases were found", total)
	}
}

// brokenCase is one case, as it is written.
type brokenCase struct {
	name, where string
	lines       []string
}

func readBroken(t *testing.T, file string) (cases []*brokenCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\n")
		if name, isName := strings.CutPrefix(line, "== "); isName {
			cases = append(cases, &brokenCase{name: name, where: fmt.Sprintf("%s:%d", filepath.Base(file), number)})
		} else if line != "" && !strings.HasPrefix(line, "#") {
			c := cases[len(cases)-1]
			c.lines = append(c.lines, line)
		}
	}
	return cases
}

const home = "/var/qmail"

// brokenHost is a host whose suite runs while its files are broken.
type brokenHost struct {
	*testhost.Host
	report string // of qmail-showctl, blanks and line ends as one blank
}

func newBrokenHost(t *testing.T) *brokenHost {
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx.example", "joe", "ann")
	net.Zone().MX("far.example", 10, "nobody.far.example")
	h.Must("cp", "-a", home+"/control", "/root/control")
	h.Must("mkdir", "/root/users")
	for name, days := range map[string]int{"good": 300, "other": 300, "ended": -1} {
		h.WriteFile("/root/"+name+".pem", serverKey(t, "mx.example", days), 0o600)
	}
	h.StartSuite()
	return &brokenHost{Host: h}
}

// serverKey is a key with a certificate that is valid for so many days.
func serverKey(t *testing.T, name string, days int) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().AddDate(0, 0, -30), NotAfter: time.Now().AddDate(0, 0, days), BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// restore makes the good host again. Directories stay: the daemons are held to
// them.
const restore = `cd /var/qmail && chmod 755 control && find control users -mindepth 1 -delete &&
cp -a /root/control/. control/ && rm -rf queue/bad/0* /etc/mail /etc/aliases && qmail-setup >/dev/null`

func (b *brokenHost) play(t *testing.T, c *brokenCase) {
	b.Must("env", "PATH=/var/qmail/bin:/usr/bin:/bin", "sh", "-c", restore)
	b.report = ""
	if len(c.lines) == 0 {
		t.Fatalf("%s: nothing is said", c.where)
	}
	for _, line := range c.lines {
		word, rest, _ := strings.Cut(line, " ")
		if problem := b.step(t, word, strings.ReplaceAll(rest, "$Q", home)); problem != "" {
			t.Errorf("%s: %s: %s", c.where, line, problem)
		}
	}
}

// step does what a line says and returns what is wrong.
func (b *brokenHost) step(t *testing.T, word, rest string) (problem string) {
	name, text, _ := strings.Cut(rest, " ")
	switch word {
	case "control":
		path := b.Path(home + "/control/" + name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(text + "\n")
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	case "file":
		content, err := strconv.Unquote(text)
		if err != nil {
			t.Fatalf("%s: %v", rest, err)
		}
		b.WriteFile(home+"/"+name, content, 0o644)
	case "without":
		b.Must("rm", "-f", home+"/"+rest)
	case "do":
		b.Must("env", "PATH=/var/qmail/bin:/usr/bin:/bin", "sh", "-c", rest)
	case "exit":
		return b.look(t, rest)
	case "says":
		if !strings.Contains(b.report, squeeze(rest)) {
			return "the report is\n" + b.report
		}
	case "silent":
		if strings.Contains(b.report, rest) {
			return "the report is\n" + b.report
		}
	default:
		return b.daemons(t, word, rest)
	}
	return ""
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// look runs qmail-showctl, and returns what is wrong with its exit code.
func (b *brokenHost) look(t *testing.T, want string) string {
	r, err := b.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{home + "/bin/qmail-showctl", "--check", "--no-dns"}})
	if err != nil {
		t.Fatal(err)
	}
	b.report = squeeze(r.Stdout + r.Stderr)
	if got := strconv.Itoa(r.Code); got != want {
		return "exit code " + got + "; the report is\n" + r.Stdout + r.Stderr
	}
	for line := range strings.Lines(r.Stdout) {
		if len(line) > 81 && strings.Contains(strings.TrimSpace(line), " ") {
			return "a line is too long: " + line
		}
	}
	return ""
}

// daemons tries what the programs do. What they read again follows a change within
// a moment, so the answer is waited for.
func (b *brokenHost) daemons(t *testing.T, word, rest string) string {
	first, second, _ := strings.Cut(rest, " ")
	var want string
	var try func(context.Context) (string, error)
	switch word {
	case "rcpt":
		want, try = second, func(ctx context.Context) (string, error) { return b.rcpt(ctx, first) }
	case "inject":
		want, try = first, func(ctx context.Context) (string, error) {
			return b.exitCode(ctx, "To: joe@mx.example\n\n", home+"/bin/qmail-inject")
		}
	case "start":
		want, try = first, func(ctx context.Context) (string, error) {
			return b.exitCode(ctx, "", home+"/bin/qmail-start", "./Maildir/")
		}
	case "remote":
		want, try = first, b.remote
	case "local":
		want, try = first, b.local
	case "hup":
		first := b.Log().Len()
		if err := b.Signal(b.Find("qmail-start")[0].PID, 1); err != nil {
			t.Fatal(err)
		}
		b.WaitForLog(first, regexp.QuoteMeta(rest))
		return ""
	default:
		t.Fatalf("unknown word %q", word)
	}
	ctx, cancel := context.WithTimeout(testhost.Within(t, soon), 20*time.Second)
	defer cancel()
	for {
		got, err := try(ctx)
		if err == nil && got == want {
			return ""
		}
		if ctx.Err() != nil || err != nil {
			return fmt.Sprintf("got %s, %v\nlog:\n%s", got, err, b.Log().Timed(max(0, b.Log().Len()-20)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (b *brokenHost) exitCode(ctx context.Context, stdin string, argv ...string) (string, error) {
	r, err := b.Run(ctx, testhost.Command{Argv: argv, Stdin: stdin})
	return strconv.Itoa(r.Code), err
}

// rcpt returns the code of the first reply that is no success, or 250.
func (b *brokenHost) rcpt(ctx context.Context, address string) (string, error) {
	code := func(err error) (string, error) {
		if reply := (*testhost.Reply)(nil); errors.As(err, &reply) {
			return strconv.Itoa(reply.Code), nil
		}
		return "", err
	}
	c, err := b.SMTP(ctx, b.IP.String()+":25")
	if err != nil {
		return code(err)
	}
	defer c.Close()
	for _, command := range []string{"MAIL FROM:<x@else.example>", "RCPT TO:<" + address + ">"} {
		if err := c.Command(command, 2); err != nil {
			return code(err)
		}
	}
	return "250", nil
}

// remote returns the first letter of what qmail-remote says of the message.
func (b *brokenHost) remote(ctx context.Context) (string, error) {
	r, err := b.Run(ctx, testhost.Command{Argv: []string{home + "/bin/qmail-remote", "far.example", "x@mx.example", "s@far.example"}, Stdin: "Subject: x\n\n"})
	for said := range strings.SplitSeq(r.Stdout, "\x00") {
		if said != "" && strings.Contains("KZD", said[:1]) {
			return said[:1], err
		}
	}
	return "", err
}

// local returns what becomes of a message to joe.
func (b *brokenHost) local(context.Context) (string, error) {
	first := b.Log().Len()
	sendmail(b.Host, "root", []string{"-f", "", "joe@mx.example"}, letter("joe@mx.example", "one"))
	m := b.WaitForLog(first, `^delivery \d+: (success|failure|deferral): `)
	return m[1], nil
}
