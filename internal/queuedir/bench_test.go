package queuedir

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func BenchmarkFooter(b *testing.B) {
	envelope := bytes.Repeat([]byte("x"), 150)
	f := Footer{Inline: true, BodySize: 4096, EnvelopeSize: int64(len(envelope)), BodyCRC: 1}
	b.ReportAllocs()
	var footer []byte
	for b.Loop() {
		footer = AppendFooter(footer[:0], f, Checksum(0, envelope))
		if _, err := ParseFooter(footer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 4<<10)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		Checksum(0, body)
	}
}

// What the scheduler does with an entry before its first attempt, and what
// goes to a delivery agent.
func BenchmarkReadEntry(b *testing.B) {
	l := writeEntry(b, entryBytes(b, strings.Repeat("x", 4<<10), true, 1), "")
	b.ReportAllocs()
	for b.Loop() {
		e, err := OpenEntry(l, testID)
		if err != nil {
			b.Fatal(err)
		}
		envelope, err := e.Envelope()
		for err == nil {
			_, err = envelope.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		if _, err := e.Bytes(); err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}
