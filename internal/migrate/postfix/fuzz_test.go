package postfix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/migrate"
)

// FuzzMainCF: whatever main.cf says, each parameter has a value or an error, of a
// bounded size.
func FuzzMainCF(f *testing.F) {
	f.Add("myhostname = mx.example\nmyorigin = $myhostname\nmydestination = ${myorigin?{a}:{b}},\n  $$x\n")
	f.Add("a = $a\nb = $(a)${a:x}${a?y}\n# c\n\n d\n = \n")
	f.Add("a = ${{x}==y?{z}}\nb = ${")
	f.Add("a=$b$b$b$b\nb=$c$c$c$c\nc=$d$d$d$d\nd=$e$e$e$e\ne=$a\n")
	f.Fuzz(func(t *testing.T, text string) {
		m := parseMain(text, "/etc/postfix/main.cf", "host")
		for _, name := range append(m.order, "myorigin", "mydestination") {
			if value, err := m.value(name); err == nil && len(value) > 2*maxExpanded {
				t.Errorf("%s has %d bytes", name, len(value))
			}
		}
	})
}

func FuzzMasterCF(f *testing.F) {
	f.Add("smtp inet n - y - - smtpd\n  -o a=b -oc=d { -o e = f }\nx\n")
	f.Add("a unix - n n - - pipe flags=D user=x argv=/bin/y ${recipient}\n")
	f.Add("{ { a } b c d e f g h {")
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := parseMaster(text, "/etc/postfix/master.cf")
		for _, s := range all {
			if s.name == "" && !strings.Contains(text, "{") {
				t.Errorf("a service without a name in %q", text)
			}
		}
	})
}

// FuzzTable: a table of any kind finds only what it has.
func FuzzTable(f *testing.F) {
	f.Add("a@b c, d\n\"x y\" z\n  more\nA@B e\n", "a@b")
	f.Add("/^(a)(b)$/ ${2}$1$$\nif /x/\n!/y/i z\nendif\n", "ab")
	f.Add("if /a/\n", "a")
	f.Add("/(/ x\n/a/q x\n", "a")
	tree := treeOf(f)
	f.Fuzz(func(t *testing.T, text, key string) {
		name := filepath.Join(tree.Outside("/"), "t")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"texthash", "regexp"} {
			c := &config{tree: tree, main: parseMain("", "/main.cf", "h"), tables: map[string]*table{}}
			e, found, err := c.table(kind + ":/t").lookup(key)
			if kind == "texthash" && (err != nil || found && e.key != migrate.Lower(key)) {
				t.Errorf("%q has %v, %v", key, e, err)
			}
			if _, err := addresses(e.value); err == nil && strings.Contains(e.value, "|") && strings.HasPrefix(e.value, "|") {
				t.Errorf("a program in %q", e.value)
			}
		}
	})
}

func treeOf(t testing.TB) *migrate.Tree {
	t.Helper()
	tree, err := migrate.OpenTree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// FuzzRead: whatever the files say, the site is made, and Postfix's decision too.
func FuzzRead(f *testing.F) {
	f.Add("mydestination = a.example\nvirtual_alias_maps = texthash:/v\nvirtual_alias_domains = v.example\nrecipient_delimiter = +\n", "x@v.example y\n@v.example @a.example\n", "root: x\nx: :include:/v, |y\n")
	f.Add("relay_domains = texthash:/v, !a, /v\nmynetworks = /v\nsmtpd_client_restrictions = check_client_access texthash:/v, sleep 1\n", "10.0.0.1 REJECT\n.x OK\n", "a: a\n")
	f.Add("virtual_mailbox_domains=v.example\nvirtual_mailbox_maps=texthash:/v\nvirtual_uid_maps=static:5\nvirtual_gid_maps=static:5\ntransport_maps=regexp:/v\n", "/x/ smtp:y\n", "")
	tree := treeOf(f)
	root := tree.Outside("/")
	for _, dir := range []string{"etc/postfix"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, main, table, aliases string) {
		for name, text := range map[string]string{"etc/postfix/main.cf": main, "v": table, "etc/aliases": aliases, "etc/passwd": "joe:x:1000:1000::/:\n"} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		site, judge, err := Read(tree, Directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range site.Probes[:min(len(site.Probes), 20)] {
			judge.Decide(address)
		}
	})
}
