package spool

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// The submitted envelope: any split gives the same result, and what is taken
// is what was written.
func FuzzSubmittedEnvelope(f *testing.F) {
	f.Add([]byte(goodEnvelope), uint8(1))
	f.Add([]byte("F\x00\x00rest"), uint8(2))
	f.Add([]byte("F"+strings.Repeat("x", 1003)), uint8(100))
	f.Add([]byte("Fa@\x00\x00"), uint8(3))
	f.Add([]byte("Fa@b\x00U\x00rHDRS\x00eid\x00NFAILURE,DELAY\x00orfc822;c@d\x00Tc@d\x00Te@f\x00\x00"), uint8(4))
	f.Add([]byte("Fa@b\x00NNEVER\x00\x00"), uint8(5))
	read := func(b []byte, size int) (again []byte, err error) {
		e := envelope{}
		e.recipient = func(a address.Address, facts esmtp.Recipient) error {
			again = append(append(append(facts.Append(again), 'T'), a.String()...), 0)
			return nil
		}
		for len(b) > 0 && err == nil {
			n := min(size, len(b))
			err = e.write(b[:n])
			b = b[n:]
		}
		if err == nil {
			err = e.complete()
		}
		return append(e.facts.Append([]byte("F"+e.sender.String()+"\x00")), append(again, 0)...), err
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		whole, wholeErr := read(b, len(b)+1)
		split, splitErr := read(b, int(size)+1)
		var r *refusal
		if wholeErr != nil && !errors.As(wholeErr, &r) {
			t.Errorf("error %v is no refusal", wholeErr)
		}
		if (wholeErr == nil) != (splitErr == nil) || !bytes.Equal(whole, split) {
			t.Errorf("split by %d: %q %v, whole: %q %v", size, split, splitErr, whole, wholeErr)
		}
		if again, err := read(whole, len(whole)); wholeErr == nil && (err != nil || !bytes.Equal(again, whole)) {
			t.Errorf("%q was read as %q, and that as %q, %v", b, whole, again, err)
		}
		plain := !bytes.ContainsAny(b, "rNU") // the words of facts may be in any case and order
		if wholeErr == nil && plain && !bytes.HasPrefix(b, whole) {
			t.Errorf("%q was read as %q", b, whole)
		}
	})
}

// A file in drop/: taken in whole and right, or not at all, and never left.
func FuzzDropFile(f *testing.F) {
	good := dropped("Subject: x\n\nbody\n", goodEnvelope, queuedir.Nonce{1})
	f.Add(good)
	f.Add(good[1:])
	f.Add(good[:len(good)-1])
	f.Add(dropped("", "F\x00", queuedir.Nonce{}))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := newDisk()
		file, err := d.Create("drop/"+dropName(1), 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(content); err != nil {
			t.Fatal(err)
		}
		s := diskStore(d)
		announced := 0
		takeIn(s, func(entries.Message) { announced++ })
		files := d.Files()
		if len(files) != 1 || len(visible(d)) != announced {
			t.Errorf("%d announced, files %q", announced, keys(files))
		}
		for name := range files {
			if strings.HasPrefix(name, "drop/") || strings.HasPrefix(name, "tmp/") {
				t.Errorf("left in %s", name)
			}
		}
	})
}
