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

// Every field that is cut is an error, and zero; what is whole is read.
func TestEveryField(t *testing.T) {
	frame := AppendBytes([]byte{7}, []byte("ab"))
	frame = AppendUint16(frame, 0x0102)
	frame = AppendUint32(frame, 0x03040506)
	frame = AppendUint64(frame, 0x0708090a0b0c0d0e)
	if want := "\x07\x00\x00\x00\x02ab\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"; string(frame) != want {
		t.Errorf("frame %q, want %q", frame, want)
	}
	read := func(r *Reader) []any {
		return []any{r.Uint8(), string(r.Blob(2)), r.Uint16(), r.Uint32(), r.Uint64()}
	}
	whole := []any{byte(7), "ab", uint16(0x0102), uint32(0x03040506), uint64(0x0708090a0b0c0d0e)}
	ends := []int{1, 7, 9, 13, 21}
	for n := range len(frame) + 1 {
		r := NewReader(frame[:n])
		zero := []any{byte(0), "", uint16(0), uint32(0), uint64(0)}
		for i, got := range read(r) {
			want := zero[i]
			if ends[i] <= n {
				want = whole[i]
			}
			if got != want {
				t.Errorf("cut at %d, field %d: %v, want %v", n, i, got, want)
			}
		}
		if err := r.Done(); (err == nil) != (n == len(frame)) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if got := StringSize("ab"); got != len(AppendString(nil, "ab")) {
		t.Errorf("size %d", got)
	}
}

// The first error stays; before it there is more, after it there is not.
func TestFirstErrorStays(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	r := NewReader([]byte("abc"))
	if !r.More() || r.Err() != nil {
		t.Errorf("at the beginning: %v", r.Err())
	}
	if b := r.Bytes(3); string(b) != "abc" || r.More() || r.Done() != nil {
		t.Errorf("at the end: %q, %v", b, r.Err())
	}
	if b := r.Bytes(0); b == nil || r.Err() != nil {
		t.Errorf("nothing is there to be taken: %v", r.Err())
	}
	if cap(NewReader([]byte("abc")).Bytes(1)) != 1 {
		t.Error("who appends to a field changes the next one")
	}
	if NewReader([]byte("abc")).Bytes(-1) != nil {
		t.Error("fewer than no bytes were taken")
	}
	r = NewReader([]byte("abc"))
	r.Fail(first)
	r.Fail(second)
	if r.Bytes(4); r.Err() != first || r.Done() != first || r.More() || r.Bytes(1) != nil {
		t.Errorf("after an error: %v", r.Err())
	}
	r = NewReader(AppendString(nil, "abc"))
	if r.Blob(2) != nil || errors.Is(r.Err(), ErrTruncated) {
		t.Errorf("over its limit: %v", r.Err())
	}
	r = NewReader([]byte{0, 0, 0})
	if r.Blob(9) != nil || !errors.Is(r.Err(), ErrTruncated) {
		t.Errorf("without a length: %v", r.Err())
	}
}
