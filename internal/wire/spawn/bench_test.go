package spawn

import (
	"bytes"
	"testing"
)

// A packet of ten jobs with a message of 4 KiB each: what a busy scheduler
// sends.
func BenchmarkJobs(b *testing.B) {
	jobs := testJobs(b)[:1]
	jobs[0].Message.Bytes = bytes.Repeat([]byte("x"), 4<<10)
	for len(jobs) < 10 {
		jobs = append(jobs, jobs[0])
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var packet []byte
		for b.Loop() {
			packet = AppendJobs(packet[:0], 10, jobs)
		}
		b.SetBytes(int64(len(packet)))
	})
	packet := AppendJobs(nil, 10, jobs)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(packet)))
		for b.Loop() {
			if _, _, err := DecodeJobs(packet); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkResults(b *testing.B) {
	results := make([]Result, 10)
	for i := range results {
		results[i] = Result{Delivery: uint64(i), Class: Success, Text: "did 1+0+0\n"}
	}
	b.ReportAllocs()
	var packet []byte
	for b.Loop() {
		packet = AppendResults(packet[:0], results)
		if _, err := DecodeResults(packet); err != nil {
			b.Fatal(err)
		}
	}
}
