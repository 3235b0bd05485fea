package entries

import (
	"testing"
	"time"

	"postrider/internal/queuedir"
)

func BenchmarkAnnouncement(b *testing.B) {
	m := Message{
		Kind: Announced, ID: queuedir.NewID(time.UnixMicro(1795000000123456), 1, 2), UID: 7791, Size: 4096,
		Envelope: make([]byte, 150),
	}
	b.ReportAllocs()
	var packet []byte
	for b.Loop() {
		packet = Append(packet[:0], m)
		if err := Decode(packet, func(Message) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
