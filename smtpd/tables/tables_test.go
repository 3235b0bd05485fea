package tables

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/tcprules"
	"postrider/internal/world"
)

// run calls a program in a directory.
func run(t *testing.T, main func(world.World) int, home, input string, environ []string, args ...string) (code int, out, diagnostics string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	w := world.World{
		Args: append([]string{"program"}, args...), Environ: environ, Home: home,
		Stdin: open("in", input), Stdout: open("out", ""), Stderr: open("err", ""),
	}
	code = main(w)
	return code, read("out"), read("err")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, path, key string) bool {
	t.Helper()
	db, err := cdb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, found, err := db.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestNewMRH(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	list := home + "/control/morercpthosts"
	write(t, list, "# ours\nA.example \t\n\n.B.Example\n left.example\nb\xc3\xbccher.example\n#c.example\nlast.example")
	if code, _, said := run(t, NewMRH, home, "", nil); code != exitDone || said != "" {
		t.Fatalf("exit %d, %q", code, said)
	}
	for key, want := range map[string]bool{
		"a.example": true, ".b.example": true, "b.example": false, " left.example": true, "left.example": false,
		"c.example": false, "#c.example": false, "last.example": true, "": false,
		"b\xc3\xbccher.example": true, "xn--bcher-kva.example": true,
	} {
		if has(t, list+".cdb", key) != want {
			t.Errorf("%q: %v, want %v", key, !want, want)
		}
	}
	info, err := os.Stat(list + ".cdb")
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(list + ".tmp"); err == nil {
		t.Error("the temporary file is left")
	}

	// What goes wrong leaves the old database.
	write(t, list, "new.example\n"+strings.Repeat("x", maxLine+1)+"\n")
	if code, _, said := run(t, NewMRH, home, "", nil); code != exitLater ||
		said != "qmail-newmrh: fatal: unable to read control/morercpthosts: line 2 is longer than 65536 bytes\n" {
		t.Errorf("exit %d, %q", code, said)
	}
	if !has(t, list+".cdb", "a.example") || has(t, list+".cdb", "new.example") {
		t.Error("the old database is gone")
	}
	if code, _, said := run(t, NewMRH, t.TempDir(), "", nil); code != exitLater || !strings.Contains(said, "unable to read control/morercpthosts: open ") {
		t.Errorf("without a list: exit %d, %q", code, said)
	}
}

const rules = `# relay clients
127.:allow,RELAYCLIENT=""
10.1.2.3:deny
10.1.2.4-6:allow,DATABYTES='100',RELAYCLIENT=/@relay.example/
10.2-3.:allow,X="range"
joe@10.4.4.4:allow,X="joe"
joe@=mail.example.org:allow,X="joe by name"
=mail.example.org:allow,X="name"
=.example.org:allow,X="suffix"
=:allow,X="any name"
192.0.2.9:allow,A="1",C="a,b=c"
192.0.2.9:deny

:allow,X="rest"
`

var clients = []struct{ ip, host, info, want string }{
	{"127.0.0.1", "", "", "rule 127.:\nset environment variable RELAYCLIENT=\nallow connection\n"},
	{"10.1.2.3", "", "", "rule 10.1.2.3:\ndeny connection\n"},
	{"10.1.2.6", "", "", "rule 10.1.2.6:\nset environment variable DATABYTES=100\nset environment variable RELAYCLIENT=@relay.example\nallow connection\n"},
	{"10.3.9.9", "", "", "rule 10.3.:\nset environment variable X=range\nallow connection\n"},
	{"10.4.4.4", "", "joe", "rule joe@10.4.4.4:\nset environment variable X=joe\nallow connection\n"},
	{"10.4.4.5", "mail.example.org", "joe", "rule joe@=mail.example.org:\nset environment variable X=joe by name\nallow connection\n"},
	{"10.4.4.5", "mail.example.org", "", "rule =mail.example.org:\nset environment variable X=name\nallow connection\n"},
	{"10.4.4.5", "www.example.org", "", "rule =.example.org:\nset environment variable X=suffix\nallow connection\n"},
	{"10.4.4.5", "example.net", "", "rule =:\nset environment variable X=any name\nallow connection\n"},
	{"192.0.2.9", "", "", "rule 192.0.2.9:\nset environment variable A=1\nset environment variable C=a,b=c\nallow connection\n"},
	{"203.0.113.1", "", "", "rule :\nset environment variable X=rest\nallow connection\n"},
}

// TestRules compares both programs with those of ucspi-tcp, if they are there:
// the database is the same, byte by byte, and what is said of it.
func TestRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if code, _, said := run(t, Rules, "", rules, nil, dir+"/rules.cdb", dir+"/rules.tmp"); code != exitDone || said != "" {
		t.Fatalf("exit %d, %q", code, said)
	}
	write(t, dir+"/rules", rules)
	theirs := theirRules(t, dir)
	for _, c := range clients {
		environ := []string{"TCPREMOTEIP=" + c.ip}
		if c.host != "" {
			environ = append(environ, "TCPREMOTEHOST="+c.host)
		}
		if c.info != "" {
			environ = append(environ, "TCPREMOTEINFO="+c.info)
		}
		for _, args := range [][]string{{dir + "/rules.cdb"}, {"-t", dir + "/rules"}} {
			if code, out, said := run(t, RulesCheck, "", "", environ, args...); code != exitDone || out != c.want {
				t.Errorf("%s %s %s, %s: exit %d, %q, %s", c.ip, c.host, c.info, args[0], code, out, said)
			}
		}
		if !theirs {
			continue
		}
		check := exec.Command("tcprulescheck", dir+"/rules.cdb")
		check.Env = environ
		if out, err := check.CombinedOutput(); err != nil || string(out) != c.want {
			t.Errorf("%s %s %s: their program says %q, %v", c.ip, c.host, c.info, out, err)
		}
	}
}

func theirRules(t *testing.T, dir string) bool {
	t.Helper()
	theirs, err := exec.LookPath("tcprules")
	if err != nil {
		t.Log("there is no tcprules of ucspi-tcp")
		return false
	}
	compile := exec.Command(theirs, dir+"/theirs.cdb", dir+"/theirs.tmp")
	compile.Stdin = strings.NewReader(rules)
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	a, errA := os.ReadFile(dir + "/rules.cdb")
	b, errB := os.ReadFile(dir + "/theirs.cdb")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the databases differ: %v %v", errA, errB)
	}
	return true
}

func TestRulesRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, tmp := dir+"/rules.cdb", dir+"/rules.tmp"
	if code, _, said := run(t, Rules, "", ":deny\n", nil, path, tmp); code != exitDone {
		t.Fatalf("exit %d, %q", code, said)
	}
	for line, says := range map[string]string{
		"1.2.3.4:permit":               `unable to parse this line: 1.2.3.4:permit` + "\n(line 2: ",
		"no colon":                     "neither :allow nor :deny",
		`1.2.3.4:allow,A="x`:           "does not end",
		"10.0.0.0/8:deny":              `write 10.0.0.0/8 as "10."`,
		"10.16.0.0/12:deny":            `write 10.16.0.0/12 as "10.16-31."`,
		"10.16.32.64/27:deny":          `write 10.16.32.64/27 as "10.16.32.64-95"`,
		"10.1.2.3/32:deny":             `write 10.1.2.3/32 as "10.1.2.3"`,
		"0.0.0.0/0:deny":               `write 0.0.0.0/0 as ""`,
		"2001:db8::/32:deny":           "only the text control/tcp.smtp can have 2001:db8::/32",
		strings.Repeat("x", maxLine+1): "line 2 is longer than 65536 bytes",
	} {
		code, _, said := run(t, Rules, "", ":allow\n"+line+"\n", nil, path, tmp)
		if code == exitDone || !strings.Contains(said, says) {
			t.Errorf("%.40s: exit %d, %q, want %q", line, code, said, says)
		}
		if _, err := os.Stat(tmp); err == nil {
			t.Errorf("%.40s: the temporary file is left", line)
		}
	}
	if _, out, _ := run(t, RulesCheck, "", "", nil, path); out != "rule :\ndeny connection\n" {
		t.Errorf("the old rules are gone: %q", out)
	}
	for _, args := range [][]string{nil, {path}} {
		if code, _, said := run(t, Rules, "", "", nil, args...); code != exitWrong || !strings.HasPrefix(said, "tcprules: usage: ") {
			t.Errorf("%q: exit %d, %q", args, code, said)
		}
	}
	if code, _, said := run(t, Rules, "", ":deny\n", nil, dir+"/none/rules.cdb", dir+"/none/rules.tmp"); code != exitLater || !strings.Contains(said, "unable to write to ") {
		t.Errorf("exit %d, %q", code, said)
	}
}

func TestRulesCheckRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/damaged", "x")
	write(t, dir+"/empty", "")
	for _, c := range []struct {
		environ string
		args    string
		code    int
		want    string
	}{
		{"", "", exitWrong, "tcprulescheck: usage: "},
		{"", "-x " + dir + "/empty", exitWrong, "tcprulescheck: illegal option -- x\n"},
		{"TCPREMOTEIP=1.2.3", "-t " + dir + "/empty", exitWrong, "TCPREMOTEIP is no IP address: 1.2.3\n"},
		{"", dir + "/none", exitLater, "unable to read " + dir + "/none: "},
		{"", dir + "/damaged", exitLater, "unable to read " + dir + "/damaged: "},
		{"", "-t " + dir + "/damaged", exitLater, "line 1: "},
		{"", "-t " + dir + "/none", exitLater, "unable to read "},
	} {
		code, out, said := run(t, RulesCheck, "", "", []string{c.environ}, strings.Fields(c.args)...)
		if code != c.code || out != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit %d, %q, %q, want %d, %q", c.args, code, out, said, c.code, c.want)
		}
	}
	if code, out, _ := run(t, RulesCheck, "", "", nil, "-t", dir+"/empty"); code != exitDone || out != "default:\nallow connection\n" {
		t.Errorf("without rules: exit %d, %q", code, out)
	}
}

// A network that is written as instead says has the same clients.
func FuzzInstead(f *testing.F) {
	f.Add(uint32(0x0a100000), uint8(12), uint32(0x0a1f0001))
	f.Add(uint32(0xc0000200), uint8(29), uint32(0xc0000207))
	f.Fuzz(func(t *testing.T, network uint32, bits uint8, client uint32) {
		ip := func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		prefix, err := ip(network).Prefix(int(bits % 33))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tcprules.ParseRecords(prefix.String() + ":deny")
		if err == nil {
			t.Fatal("a network is in a database")
		}
		_, text, _ := strings.Cut(err.Error(), ` as "`)
		text = strings.TrimSuffix(text, `"`)
		for _, line := range []string{prefix.String() + ":deny\n", text + ":deny\n"} {
			rules, err := tcprules.Parse(line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if got := rules.Match(tcprules.Client{IP: ip(client)}).Deny; got != prefix.Contains(ip(client)) {
				t.Errorf("%q: %v is denied: %v", line, ip(client), got)
			}
		}
	})
}
