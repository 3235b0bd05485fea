package queuedir

import (
	"bytes"
	"testing"
)

func TestDropFooter(t *testing.T) {
	t.Parallel()
	content := []byte("Subject: x\n\nbody\nFa@b\x00Tc@d\x00\x00")
	crc := Checksum(0, content)
	want := DropFooter{Nonce: Nonce{1, 2, 3}, BodySize: 17, EnvelopeSize: int64(len(content)) - 17}
	b := AppendDropFooter(nil, want, crc)
	if len(b) != DropFooterSize {
		t.Fatalf("footer has %d bytes, not %d", len(b), DropFooterSize)
	}
	got, err := ParseDropFooter(b)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Checks(crc, b) || got.Checks(crc+1, b) {
		t.Error("checksum does not tell right from wrong")
	}
	if size := int64(len(content) + len(b)); !got.Fits(size) || got.Fits(size+1) || got.Fits(size-1) {
		t.Error("sizes do not fit only the whole file")
	}
	got.CRC = 0
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i := range b {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x40
		f, err := ParseDropFooter(flipped)
		if err == nil && f.Checks(crc, flipped) && f.Fits(int64(len(content)+len(b))) {
			t.Errorf("byte %d flipped: taken", i)
		}
		if _, err := ParseDropFooter(b[:i]); err == nil {
			t.Errorf("cut at %d: taken", i)
		}
	}
}

func TestDropName(t *testing.T) {
	t.Parallel()
	hidden, visible := DropName([16]byte{0xab, 15: 1})
	if hidden != "."+visible || !IsDropName(visible) || IsDropName(hidden) {
		t.Errorf("names %q, %q", hidden, visible)
	}
	for _, bad := range []string{"", "x", "../etc/passwd", visible[1:], visible + "0", "A" + visible[1:]} {
		if IsDropName(bad) {
			t.Errorf("%q is no name", bad)
		}
	}
}

func FuzzDropFooter(f *testing.F) {
	f.Add(AppendDropFooter(nil, DropFooter{BodySize: 10, EnvelopeSize: 20}, 7))
	f.Add([]byte("postrider drop 1 nonce="))
	f.Fuzz(func(t *testing.T, b []byte) {
		footer, err := ParseDropFooter(b)
		if err != nil {
			return
		}
		if footer.BodySize < 0 || footer.EnvelopeSize < 0 || footer.BodySize > MaxDrop || footer.EnvelopeSize > MaxDrop {
			t.Errorf("impossible sizes: %+v", footer)
		}
	})
}
