package postfix

import (
	"os"
	"path/filepath"
	"postrider/internal/lineartest"
	"postrider/internal/migrate"
	"strings"
	"testing"
)

// R43: main.cf, master.cf and tables.
func TestFilesAreReadInLinearTime(t *testing.T) {
	tree := treeOf(t)
	name := filepath.Join(tree.Outside("/"), "t")
	lineartest.Check(t, lineartest.Size, func(text string) {
		// Whether anything is valid does not matter here.
		m := parseMain(text, "/etc/postfix/main.cf", "host")
		_, _ = m.value("a")
		_, _ = m.value("myorigin")
		parseMaster(text, "/etc/postfix/master.cf")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c := &config{tree: tree, main: parseMain("", "/main.cf", "h"), tables: map[string]*table{}}
		_, _, _ = c.table("texthash:/t").lookup("a@b")
	}, lineartest.Units("a=b\n", "\n", " x\n", "#\n", "a", "$", "${", "{", "a = $a\n", "a@b c\n", "\"", "a b c d e f g h -o a=b\n", ","),
		[]lineartest.Input{{Head: "a = ", Unit: "$b", Tail: "\nb = x\n"}, {Head: "a = ", Unit: "${b:x}", Tail: "\nb = x\n"}, {Head: "a = ", Unit: "${b:", Close: "}"}, {Head: "a = ", Unit: "x\n "}, {Head: "x unix - - - - - y ", Unit: "-o a=b "}, {Head: "x unix - - - - - y ", Unit: "{ a } "}},
		lineartest.Around("mydestination = a.example, ${x?{y}:{z}}\n # c\n$$x\n", "smtp inet n - y - - smtpd\n  -o a=b -oc=d { -o e = f }\n", "\"x y\" z\n  more\nA@B e\n"))
}

// A table of patterns has no more than it may, of which each is tried.
func TestPatternsAreLinear(t *testing.T) {
	tree := treeOf(t)
	name := filepath.Join(tree.Outside("/"), "t")
	lineartest.Check(t, 64<<10, func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c := &config{tree: tree, main: parseMain("", "/main.cf", "h"), tables: map[string]*table{}}
		_, _, _ = c.table("regexp:/t").lookup(migrate.Lower(strings.Repeat("a", 100)))
	}, lineartest.Units("/a/ b\n", "if /a/\n", "if /a/\nendif\n", "!/y/i z\n", "/(a*)*/ $1\n", "/"+strings.Repeat("(a|b)", 100)+"/ $1\n", "/", "(", "\n"))
}
