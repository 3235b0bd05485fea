package progress

import (
	"os"
	"testing"
	"time"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// BenchmarkOrders is one order about very many messages that wait, each of which
// has a progress file, in batches as editors are given them: made durable file by
// file, and together where the file system of the temporary directory allows it.
func BenchmarkOrders(b *testing.B) {
	b.Run("file by file", func(b *testing.B) { benchOrders(b, durable.FileGroup()) })
	b.Run("together", func(b *testing.B) { benchOrders(b, nil) })
}

func benchOrders(b *testing.B, group *durable.Group) {
	h := newHost(b)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		b.Fatal(err)
	}
	if group != nil {
		rec.group = group
	}
	ask := &Order{Order: manage.Order{Kind: manage.Hold, Text: "trouble"}, From: root, At: testStart}
	var batches [][]Edit
	for i := range b.N {
		m := testMessage{
			id:     queuedir.NewID(testStart.Add(-time.Duration(i)*time.Microsecond), 0, i/64),
			sender: "sender@example.org", body: string(make([]byte, 4096)), recipients: []string{"joe@loc.example.org"},
		}
		h.queue(b, m)
		tried := queuedir.AppendTried(nil, []int{0}, testStart, "not now")
		if err := os.WriteFile(h.layout.Info(m.id), tried, 0o600); err != nil {
			b.Fatal(err)
		}
		if i%500 == 0 {
			batches = append(batches, nil)
		}
		batches[len(batches)-1] = append(batches[len(batches)-1], Edit{Order: ask, Target: manage.Target{ID: m.id}})
	}
	b.ResetTimer()
	begun := cpuTime(b)
	for _, batch := range batches {
		for _, d := range (editor{recorder: rec, due: testStart}).edit(batch) {
			if d.Outcome != 0 {
				b.Fatalf("%c %s", d.Outcome, d.Why)
			}
		}
	}
	b.ReportMetric(float64((cpuTime(b)-begun).Microseconds())/float64(b.N), "cpu-us/op")
}
