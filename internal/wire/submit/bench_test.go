package submit

import (
	"bytes"
	"testing"
)

func BenchmarkFrame(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 4<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	var frame []byte
	for b.Loop() {
		frame = AppendFrame(frame[:0], Message, body)
		if _, n, err := ReadHeader(bytes.NewReader(frame)); err != nil || n != len(body) {
			b.Fatal(n, err)
		}
	}
}
