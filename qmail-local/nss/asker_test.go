package nss

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/accounts"
	"postrider/internal/getent"
)

// Names that wait share a run, in their order, and each has its own answer.
func TestAsker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		var warned atomic.Int64
		var now, most int
		a := &asker{warn: func(error) { warned.Add(1) }, lookup: func(names []string) []getent.Answer {
			mu.Lock()
			sizes = append(sizes, len(names))
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second) // of the test's own clock
			answers := make([]getent.Answer, len(names))
			for i, name := range names {
				switch {
				case strings.HasPrefix(name, "away"):
					answers[i].Err = errors.New("away")
				case strings.HasPrefix(name, "nobody"):
					answers[i].Err = accounts.ErrUnknown
				default:
					answers[i].Account.Name = name
				}
			}
			mu.Lock()
			now--
			mu.Unlock()
			return answers
		}}
		begun := time.Now()
		var all sync.WaitGroup
		const names = runs + 4*getent.MaxNames + 3
		for i := range names {
			all.Go(func() {
				name := fmt.Sprint([]string{"joe", "away", "nobody"}[i%3], i)
				account, err := a.ask(name)
				switch {
				case i%3 == 0 && (account.Name != name || err != nil),
					i%3 == 1 && (err == nil || errors.Is(err, accounts.ErrUnknown)),
					i%3 == 2 && !errors.Is(err, accounts.ErrUnknown):
					t.Errorf("%s: %+v, %v", name, account, err)
				}
			})
			synctest.Wait() // each has its place
		}
		all.Wait()
		if took := time.Since(begun); took != 2*time.Second || most != runs {
			t.Errorf("it took %v, with %d runs at a time", took, most)
		}
		for i, n := range sizes {
			if i < runs && n != 1 || n > getent.MaxNames {
				t.Errorf("run %d was for %d names", i, n)
			}
		}
		if len(sizes) != runs+5 || warned.Load() != (names+1)/3 {
			t.Errorf("%d runs, %d warnings", len(sizes), warned.Load())
		}
		if _, err := a.ask("0"); !errors.Is(err, accounts.ErrUnknown) || len(sizes) != runs+5 {
			t.Errorf("what is no name: %v", err)
		}
	})
}

// BenchmarkAccounts asks the machine's own getent for accounts of /etc/passwd: for
// the same hundred again and again, who are remembered, and for a hundred
// thousand names in turn, of whom each is new.
func BenchmarkAccounts(b *testing.B) {
	text, err := os.ReadFile(accounts.PasswdFile)
	if err != nil {
		b.Fatal(err)
	}
	var real []string
	for line := range strings.Lines(string(text)) {
		if a, ok := accounts.ParsePasswd(strings.TrimSuffix(line, "\n")); ok && getent.IsName(a.Name) {
			real = append(real, a.Name)
		}
	}
	if _, err := os.Stat(getent.Path); err != nil {
		b.Fatal(filepath.Base(getent.Path), err)
	}
	program := getent.Program{Path: getent.Path, Limit: getent.Limit}
	for name, of := range map[string]func(i int64) string{
		"100":    func(i int64) string { return real[i%int64(min(len(real), 100))] },
		"100000": func(i int64) string { return fmt.Sprintf("user%d", i%100_000) },
	} {
		b.Run(name, func(b *testing.B) {
			asks := &asker{lookup: program.LookupAll, warn: func(err error) { b.Error(err) }}
			c := newCache(time.Now, asks.ask)
			var next atomic.Int64
			b.SetParallelism(atOnce / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.find(of(next.Add(1))); err != nil && !errors.Is(err, accounts.ErrUnknown) {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
		})
	}
}
