package lookup

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"postrider/internal/address"
	"postrider/internal/cdb"
	wire "postrider/internal/wire/lookup"
)

// BenchmarkVirtualUsers asks for users of a domain of two sizes, who are in the
// domain's vpasswd.cdb or, one by one, in users/cdb; and for as many in passwd.
func BenchmarkVirtualUsers(b *testing.B) {
	for _, users := range []int{100, 100_000} {
		for _, form := range []string{"vpasswd.cdb", "users.cdb", "passwd"} {
			b.Run(fmt.Sprint(form, " of ", users), func(b *testing.B) {
				s := newSite(b)
				s.write("control/locals", "here.example\n")
				s.write("control/virtualdomains", "virt.example:joe-virt\n")
				s.write("control/vpopmail", "/home/vpopmail\n")
				s.write("joe/.qmail-virt-default", "| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n")
				s.write("joe/.qmail", "./Maildir/\n")
				path, record := "joe/vpasswd.cdb", func(name string) (string, string) {
					return "virt-" + name, "$1$abcdefgh$0123456789012345678901:1:0:" + name + ":" + s.path("joe") + ":NOQUOTA"
				}
				if form == "users.cdb" {
					path, record = "users/cdb", func(name string) (string, string) {
						return "!joe-virt-" + name + "\x00", "joe\x001000\x001000\x00" + s.path("joe") + "\x00\x00"
					}
				}
				err := cdb.Replace(s.path(path), s.path(path+".tmp"), 0o644, func(w *cdb.Writer) error {
					if err := w.Add(nil, []byte("-")); err != nil {
						return err
					}
					for i := range users {
						key, data := record(fmt.Sprintf("user%d", i))
						if err := w.Add([]byte(key), []byte(data)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				domain := "virt.example"
				if form == "passwd" {
					domain = "here.example"
					var passwd strings.Builder
					for i := range users {
						fmt.Fprintf(&passwd, "user%d:x:%d:100::%s:/bin/sh\n", i, max(1000, os.Getuid()), s.path("joe"))
					}
					s.write("passwd", passwd.String())
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					a, err := address.New(fmt.Sprintf("user%d@%s", i*7919%users, domain))
					if err != nil {
						b.Fatal(err)
					}
					if got := s.f.find(a); got.Verdict != wire.Exists {
						b.Fatalf("%v: %v", a, got)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
			})
		}
	}
}
