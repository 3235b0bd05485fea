package qmaillocal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"postrider/internal/cdb"
	"postrider/internal/clock"
	"postrider/internal/world"
)

// BenchmarkVpopmail delivers to domains of two sizes, and to a user of the machine
// in the same way: a message of 4 KiB, 40 deliveries at a time, into 100
// mailboxes.
func BenchmarkVpopmail(b *testing.B) {
	const boxes = 100
	body := "Subject: x\n\n" + strings.Repeat("a line of a message, which says nothing\n", 100)
	for _, users := range []int{0, 100, 100_000} {
		name := fmt.Sprint(users, " users")
		if users == 0 {
			name = "without vpopmail"
		}
		b.Run(name, func(b *testing.B) {
			dir, queue := b.TempDir(), b.TempDir()
			must := func(err error) {
				if err != nil {
					b.Fatal(err)
				}
			}
			must(os.Mkdir(queue+"/control", 0o755))
			must(os.WriteFile(queue+"/control/vpopmail", []byte("/home/vpopmail\n"), 0o644))
			for i := range boxes {
				for _, sub := range []string{"tmp", "new", "cur"} {
					must(os.MkdirAll(fmt.Sprintf("%s/%d/u%d/Maildir/%s", dir, i%10, i, sub), 0o700))
				}
				if users == 0 {
					must(os.WriteFile(fmt.Sprintf("%s/.qmail-u%d", dir, i), fmt.Appendf(nil, "./%d/u%d/Maildir/\n", i%10, i), 0o600))
				}
			}
			if users > 0 {
				must(os.WriteFile(dir+"/.qmail-default", []byte("| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n"), 0o600))
				must(cdb.Replace(dir+"/vpasswd.cdb", dir+"/vpasswd.tmp", 0o600, func(w *cdb.Writer) error {
					for i := range users { // those that get mail are anywhere among them
						at := i % (users / boxes)
						box := i / (users / boxes)
						name := fmt.Sprintf("u%d", box)
						if at > 0 {
							name = fmt.Sprintf("u%d.%d", box, at)
						}
						data := fmt.Sprintf("$1$abcdefgh$0123456789012345678901:1:0:%s:%s/%d/u%d:NOQUOTA", name, dir, box%10, box)
						if err := w.Add([]byte(name), []byte(data)); err != nil {
							return err
						}
					}
					return nil
				}))
			}
			a, err := newAgent(world.World{Home: queue, Clock: clock.Real()}, []string{"PATH=/usr/bin:/bin"})
			must(err)
			b.ReportAllocs()
			b.SetParallelism(20) // 40 on 2 processors
			b.ResetTimer()
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ext := fmt.Sprintf("u%d", next.Add(1)%boxes)
					d := &delivery{
						agent:    a,
						operands: operands{"vpopmail", dir, "a.example-" + ext, "-", ext, "a.example", "s@example.org", ""},
						message:  &message{bytes: []byte(body)},
						out:      io.Discard,
						slot:     func() error { return nil },
					}
					if err := d.run(); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
			arrived, err := filepath.Glob(dir + "/*/*/Maildir/new/*")
			must(err)
			if len(arrived) != b.N {
				b.Errorf("%d messages arrived, want %d", len(arrived), b.N)
			}
		})
	}
}
