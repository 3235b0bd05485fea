package qmail

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/migrate"
)

// FuzzRead: whatever the files say, the site is made, and qmail's decision too.
func FuzzRead(f *testing.F) {
	f.Add("a.example\n", "v.example:joe-v\n:joe\n", "+x-:joe:1000:1000:/home:-::\n=y:joe:1000:1000:/home:::\n.\n", "&a@b\n|x\n./Maildir/\n", "127.:allow,RELAYCLIENT=\"\"\nx:deny\n")
	f.Add("\n", "@:\n", "+:::::::\n", "\n\x00", "=.x:allow,A=/b/\n")
	root := f.TempDir()
	for _, dir := range []string{"var/qmail/control", "var/qmail/alias", "var/qmail/users", "etc", "home"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	tree, err := migrate.OpenTree(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { tree.Close() })
	f.Fuzz(func(t *testing.T, locals, virtual, assign, instructions, rules string) {
		for name, text := range map[string]string{
			"control/me": "h.example\n", "control/locals": locals, "control/virtualdomains": virtual, "control/badmailfrom": virtual,
			"control/blacklists": rules, "users/assign": assign, "alias/.qmail-default": instructions,
		} {
			if err := os.WriteFile(filepath.Join(root, "var/qmail", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"etc/passwd": "joe:x:1000:1000::/home:\n", "home/.qmail-default": instructions, "home/vpasswd": assign, "etc/tcp.smtp": rules} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		site, judge, err := Read(tree, Places{Home: Directory}, "/var/qmail")
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range append(site.Probes[:min(len(site.Probes), 20)], "x@v.example", "y@a.example") {
			judge.Decide(address)
		}
	})
}
