package spool

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// BenchmarkSubmit is the way of a message of 4 KiB from a submitter's socket
// to the answer, and its removal: on the file system of this directory.
func BenchmarkSubmit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir, err := os.MkdirTemp(".", "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { os.RemoveAll(dir) })
			l := queuedir.Layout{Root: dir}
			for i := range queuedir.Buckets {
				if err := os.MkdirAll(l.NewDir(queuedir.BucketName(i)), 0o755); err != nil {
					b.Fatal(err)
				}
			}
			if err := os.Mkdir(l.Tmp(), 0o755); err != nil {
				b.Fatal(err)
			}
			tree, err := durable.OpenTree(dir)
			if err != nil {
				b.Fatal(err)
			}
			group, err := durable.OpenGroup(dir)
			if err != nil {
				b.Fatal(err)
			}
			store := NewStore(tree, group, clock.Real(), func(string) {})
			countAll(b, store, group)
			var removed sync.WaitGroup
			remove := func(m entries.Message) {
				removed.Add(1)
				store.remove(m.ID, removed.Done)
			}
			s := newServer(store, remove, func(string) {}, 100, func(uint32) string { return "by uid 0" })
			var cpuBefore, cpuAfter unix.Rusage
			unix.Getrusage(unix.RUSAGE_SELF, &cpuBefore)
			b.ResetTimer()
			submitAll(b, s, writers)
			removed.Wait()
			b.StopTimer()
			unix.Getrusage(unix.RUSAGE_SELF, &cpuAfter)
			cpu := cpuAfter.Utime.Nano() + cpuAfter.Stime.Nano() - cpuBefore.Utime.Nano() - cpuBefore.Stime.Nano()
			b.ReportMetric(float64(cpu)/float64(b.N)/1000, "cpu-us/op")
			s.refuse()
			s.wait(time.Minute, nobodyWaits)
		})
	}
}

// countAll has figures counted, as qmail-start does.
func countAll(b *testing.B, s *Store, group *durable.Group) {
	f, err := figures.NewArea("qmail-spool")
	if err == nil {
		err = s.counts.Take(figures.Layout(), f)
	}
	if err != nil {
		b.Fatal(err)
	}
	group.Watch = s.countRound
}

func submitAll(b *testing.B, s *server, writers int) {
	body := strings.Repeat("0123456789abcde\n", 256)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
		if err != nil {
			b.Fatal(err)
		}
		s.start(&connection{server: s, f: ours, from: origin{uid: 0, text: "by uid 0"}, opened: time.Now()})
		if err := submit.ReadGreeting(theirs); err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer theirs.Close()
			for next.Add(1) <= int64(b.N) {
				if _, err := theirs.Write(frames(body, goodEnvelope, newNonce())); err != nil {
					b.Error(err)
					return
				}
				if a, err := submit.ReadAnswer(theirs); err != nil || a.Kind != submit.Accepted {
					b.Errorf("answer %+v, %v", a, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
