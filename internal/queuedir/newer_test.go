package queuedir

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestNewerEntry: an entry of a later release is told from a torn one, whatever
// that release has made of the footer.
func TestNewerEntry(t *testing.T) {
	t.Parallel()
	body := "Subject: x\n\nx\n"
	envelope := "Fa@b\x00"
	for _, c := range []struct {
		name string
		text string
		want error
	}{
		{"longer", body + envelope + "postrider entry 2 inline  body=1 envelope=2 more=3 crc=4\n", ErrNewer},
		{"shorter", body + envelope + "postrider entry 12 x\n", ErrNewer},
		{"of nothing else", "postrider entry 2 x\n", ErrNewer},
		{"without an end", body + envelope + "postrider entry 2 inline  body=1 envelope=2 more=3 crc=4", ErrTorn},
		{"of this version, torn", body + envelope + "postrider entry 1 inline  body=1\n", ErrTorn},
		{"of version 0", body + envelope + "postrider entry 0 inline\n", ErrTorn},
		{"without a version", body + envelope + "postrider entry  inline\n", ErrTorn},
		{"a number alone", body + envelope + "postrider entry 2\n", ErrTorn},
		{"in a line before", body + "postrider entry 2 x\n" + envelope + "\n", ErrTorn},
		{"too far before", "postrider entry 2 x" + strings.Repeat("x", maxFooter) + "\n", ErrTorn},
		{"none", body, ErrTorn},
		{"nothing", "", ErrTorn},
	} {
		l := At(t.TempDir())
		id := NewID(orderTime, 1, 0)
		if err := os.MkdirAll(l.NewDir(id.Bucket()), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.Entry(id), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenEntry(l, id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		want := ErrDropFooter
		if c.want == ErrNewer {
			want = ErrNewer
		}
		drop := strings.ReplaceAll(c.text, "entry", "drop")
		if err := NewerDrop(strings.NewReader(drop), int64(len(drop))); !errors.Is(err, want) {
			t.Errorf("%s in drop: %v, want %v", c.name, err, want)
		}
	}
}

// TestNewerEnvelope: a record that must be understood and is not.
func TestNewerEnvelope(t *testing.T) {
	t.Parallel()
	head := AppendHead(nil, Head{Arrived: orderTime})
	for _, c := range []struct {
		records string
		want    error
	}{{"Zx\x00Ta@b\x00", ErrNewer}, {"Ta@b\x00Zx\x00", ErrNewer}, {"Fa@b\x00Ta@b\x00", ErrDamaged}, {"1x\x00Ta@b\x00", ErrDamaged}} {
		e, err := NewEnvelopeReader(bytes.NewReader(append(bytes.Clone(head), c.records...)))
		for err == nil {
			_, err = e.Next()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.records, err, c.want)
		}
	}
}
