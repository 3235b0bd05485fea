package codec

import (
	"errors"
	"testing"
)

func TestReaderRoundTrip(t *testing.T) {
	b := AppendString(nil, "hello")
	b = AppendUint16(b, 7)
	b = AppendUint32(b, 1<<31)
	b = AppendUint64(b, 1<<63)
	r := NewReader(b)
	if s, u16, u32, u64 := r.String(5), r.Uint16(), r.Uint32(), r.Uint64(); s != "hello" || u16 != 7 || u32 != 1<<31 || u64 != 1<<63 {
		t.Errorf("got %q %d %d %d", s, u16, u32, u64)
	}
	if err := r.Done(); err != nil {
		t.Errorf("done: %v", err)
	}
}

func TestReaderErrors(t *testing.T) {
	whole := AppendString(nil, "hello")
	for n := range whole {
		r := NewReader(whole[:n])
		if r.String(5); !errors.Is(r.Done(), ErrTruncated) {
			t.Errorf("cut at %d: got %v", n, r.Err())
		}
		if r.Uint8() != 0 || r.More() {
			t.Errorf("cut at %d: reads on after the error", n)
		}
	}
	if r := NewReader(whole); r.String(4) != "" || r.Err() == nil {
		t.Error("a string over its limit was taken")
	}
	r := NewReader(append(whole, 0))
	if r.String(5); !errors.Is(r.Done(), ErrTrailing) {
		t.Errorf("trailing byte: got %v", r.Err())
	}
}
