package queuectl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

// BenchmarkList lists messages that were tried once, read from their files.
func BenchmarkList(b *testing.B) {
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"list", "--from", "nobody@*"}, {"export", "--all"}} {
		b.Run(strings.Join(args, " "), func(b *testing.B) {
			const messages = 10_000
			home := many(b, messages)
			for b.Loop() {
				must(b, home, args...)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/messages, "us/message")
		})
	}
}

// many makes a queue of so many messages that were tried.
func many(b *testing.B, messages int) (home string) {
	home, l := newHome(b)
	at := born()
	for i := range messages {
		id := queuedir.NewID(at.Add(time.Duration(i)*time.Millisecond), 0, i)
		entry(b, l, id, 1000, "Subject: x\n\n"+strings.Repeat("text\n", 800), "s@x.org", fmt.Sprintf("u%d@y.org", i))
		put(b, l.Info(id), string(queuedir.AppendTried(nil, []int{0}, at, "no connection\n")))
	}
	return home
}
