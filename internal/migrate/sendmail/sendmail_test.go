package sendmail

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"postrider/internal/migrate"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	got := calls("divert(-1)dnl\nFEATURE(`no')\ndivert(0)dnl\n# x FEATURE(`no')\ndefine(`A', `b, c')dnl FEATURE(`no')\nFEATURE(`d',\n `e(f)', ``g'')\n`FEATURE(no)' MAILER(local)\n")
	want := []call{
		{"divert", []string{"0"}, 3}, {"define", []string{"A", "b, c"}, 5}, {"FEATURE", []string{"d", "e(f)", "`g'"}, 6}, {"MAILER", []string{"local"}, 8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// A cf file says the same as the mc file that made it, as far as it is read.
func TestFromCF(t *testing.T) {
	t.Parallel()
	got := fromCF("V10/Berkeley\nDjmx.example\nDSrelay.example\nCwa.example b.example\nFw/etc/mail/local-host-names\nFR-o /etc/mail/relay-domains\nKvirtuser hash -o /etc/mail/virtusertable\nO MaxMessageSize=1000\nO Unknown=1\nC{VirtHost}v.example\n")
	want := []call{
		{"define", []string{"confDOMAIN_NAME", "mx.example"}, 2}, {"define", []string{"SMART_HOST", "relay.example"}, 3},
		{"LOCAL_DOMAIN", []string{"a.example b.example"}, 4}, {"class-w-file", []string{"/etc/mail/local-host-names"}, 5},
		{"RELAY_DOMAIN_FILE", []string{"/etc/mail/relay-domains"}, 6}, {"FEATURE", []string{"virtusertable", "hash -o /etc/mail/virtusertable"}, 7},
		{"define", []string{"confMAX_MESSAGE_SIZE", "1000"}, 8}, {"VIRTUSER_DOMAIN", []string{"v.example"}, 10},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"10.1": "10.1.", "10.1.2.3": "10.1.2.3", "ipv6:2001:db8": "2001:db8::/32", "ipv6:2001:db8::1": "2001:db8::1",
	} {
		if got := prefix(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRelayOf(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"mx.example": "mx.example", "[10.3.0.9]": "10.3.0.9", "[mx.example]:b.example": "mx.example", "a.example:b.example": "a.example",
		"[IPv6:2001:db8::25]": "[2001:db8::25]", "[IPv6:2001:db8::25]:b.example": "[2001:db8::25]", "": "",
	} {
		if got := relayOf(smartHop("esmtp:" + to)); got != want {
			t.Errorf("%q is %q, want %q", to, got, want)
		}
	}
	if got := smartHop("[IPv6:2001:db8::25]"); got != "[IPv6:2001:db8::25]" {
		t.Errorf("an address in SMART_HOST is %q", got)
	}
}

func FuzzCalls(f *testing.F) {
	f.Add("define(`a', `b')dnl\ndivert(-1)\nFEATURE(x")
	f.Add("`'`'(,)a(b(c,`d')")
	f.Fuzz(func(t *testing.T, text string) {
		if all := calls(text); len(all) > maxCalls {
			t.Errorf("%d calls", len(all))
		}
		fromCF(text)
	})
}

// FuzzRead: whatever the files say, the site is made, and Sendmail's decision too.
func FuzzRead(f *testing.F) {
	f.Add("FEATURE(`virtusertable')FEATURE(`mailertable')FEATURE(`access_db')VIRTUSER_DOMAIN(`v.example')define(`LUSER_RELAY',`local:joe')", "x@h.example joe\n@v.example %1@h.example\n. smtp:[x]\nx error:y\n", "a: b, |c\nb: a\n")
	f.Add("FEATURE(`nullclient', `hub.example')FEATURE(`access_db')", "AuthInfo:x \"U:a\" \"P=YQ==\"\n10 RELAY\nTo:x RELAY\nipv6:1 OK\n", "")
	root := f.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/mail"), 0o755); err != nil {
		f.Fatal(err)
	}
	tree, err := migrate.OpenTree(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { tree.Close() })
	f.Fuzz(func(t *testing.T, mc, table, aliases string) {
		for name, text := range map[string]string{
			"etc/mail/sendmail.mc": mc, "etc/mail/virtusertable": table, "etc/mail/mailertable": table, "etc/mail/access": table,
			"etc/aliases": aliases, "etc/passwd": "joe:x:1000:1000::/:\n", "etc/hostname": "h.example\n",
		} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		site, judge, err := Read(tree, Directory)
		if err != nil {
			return
		}
		for _, address := range append(site.Probes[:min(len(site.Probes), 20)], "x@v.example", "joe@h.example") {
			judge.Decide(address)
		}
	})
}
