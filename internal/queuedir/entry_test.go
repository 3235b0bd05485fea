package queuedir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

func mustAddress(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var testID = NewID(time.UnixMicro(1795000000123456), 42, 7)

func testEnvelope(t testing.TB, recipients int) []byte {
	b := AppendHead(nil, Head{
		Sender:  mustAddress(t, "sender@example.org"),
		UID:     1000,
		Arrived: testID.Time(),
		Nonce:   Nonce{1, 2, 3},
	})
	for i := range recipients {
		b = AppendRecipient(b, mustAddress(t, fmt.Sprintf("r%d@example.com", i)))
	}
	return b
}

// entryBytes returns the bytes of a whole entry.
func entryBytes(t testing.TB, body string, inline bool, recipients int) []byte {
	envelope := testEnvelope(t, recipients)
	var b []byte
	if inline {
		b = append(b, body...)
	}
	b = append(b, envelope...)
	return AppendFooter(b, Footer{
		Inline:       inline,
		BodySize:     int64(len(body)),
		EnvelopeSize: int64(len(envelope)),
		BodyCRC:      Checksum(0, []byte(body)),
	}, Checksum(0, envelope))
}

func writeEntry(t testing.TB, entry []byte, outside string) Layout {
	t.Helper()
	l := Layout{Root: t.TempDir()}
	if err := os.MkdirAll(l.NewDir(testID.Bucket()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Entry(testID), entry, 0o600); err != nil {
		t.Fatal(err)
	}
	if outside != "" {
		if err := os.WriteFile(l.Body(testID), []byte(outside), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestID(t *testing.T) {
	t.Parallel()
	if got := testID.String(); got != "17950000001234564207" {
		t.Errorf("digits: got %s", got)
	}
	if testID.Bucket() != "07" || testID.BucketIndex() != 7 {
		t.Errorf("bucket: got %s, %d", testID.Bucket(), testID.BucketIndex())
	}
	if got := testID.Time().UnixMicro(); got != 1795000000123456 {
		t.Errorf("time: got %d", got)
	}
	if id, err := ParseID(testID.String()); err != nil || id != testID {
		t.Errorf("parse: got %s, %v", id, err)
	}
	for _, s := range []string{"", "1", "1795000000123456420", "179500000012345642071", "1795000000123456420x", "../../../etc/passwd!"} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestEntryRoundTrip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", MaxInlineBody/16) + "x"
	for _, c := range []struct {
		name, body string
		recipients int
	}{
		{"small", "Subject: x\n\nhello\n", 2},
		{"empty body", "", 1},
		{"no recipients", "x\n", 0},
		{"many recipients", "x\n", 20000},
		{"outside", long, 1},
	} {
		inline := len(c.body) <= MaxInlineBody
		outside := ""
		if !inline {
			outside = c.body
		}
		l := writeEntry(t, entryBytes(t, c.body, inline, c.recipients), outside)
		e, err := OpenEntry(l, testID)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		defer e.Close()
		envelope, err := e.Envelope()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if h := envelope.Head; h.Sender.String() != "sender@example.org" || h.UID != 1000 || !h.Arrived.Equal(testID.Time()) || h.Nonce != (Nonce{1, 2, 3}) {
			t.Errorf("%s: head %+v", c.name, h)
		}
		for i := range c.recipients {
			a, err := envelope.Next()
			if want := fmt.Sprintf("r%d@example.com", i); err != nil || a.String() != want {
				t.Fatalf("%s: got %s, %v, want %s", c.name, a, err, want)
			}
		}
		if _, err := envelope.Next(); err != io.EOF {
			t.Errorf("%s: after the last recipient: %v", c.name, err)
		}
		f, err := e.Body()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := io.ReadAll(f)
		if err != nil || string(got) != c.body {
			t.Errorf("%s: body differs (%d bytes), %v", c.name, len(got), err)
		}
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Errorf("%s: the body can be changed", c.name)
		}
		f.Close()
		if err := e.CheckBody(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// R16: every cut and every flipped byte is found.
func TestEntryDamage(t *testing.T) {
	t.Parallel()
	whole := entryBytes(t, "Subject: x\n\nhello\n", true, 2)
	read := func(b []byte) error {
		e, err := OpenEntry(writeEntry(t, b, ""), testID)
		if err != nil {
			return err
		}
		defer e.Close()
		f, err := e.Body()
		if err != nil {
			return err
		}
		return f.Close()
	}
	for n := range whole {
		if err := read(whole[:n]); !errors.Is(err, ErrTorn) {
			t.Errorf("cut at %d: got %v", n, err)
		}
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x20
		if err := read(flipped); !errors.Is(err, ErrTorn) && !errors.Is(err, ErrDamaged) {
			t.Errorf("flip at %d: got %v", n, err)
		}
	}
	if err := read(append(bytes.Clone(whole), whole[len(whole)-FooterSize:]...)); err == nil {
		t.Error("a second footer was taken")
	}
}

// Entries in memory and entries in files: the same is found damaged, by
// whichever way the body is taken.
func TestBodyDamageOfAnySize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		size       int
		recipients int
		inMemory   bool
	}{
		{"empty body", 0, 1, true},
		{"short", 100, 2, true},
		{"nearly too large for memory", 16 << 10, 1, true},
		{"inline in a file", maxInMemory, 1, false},
		{"largest inline", MaxInlineBody, 1, false},
		{"short with many recipients", 100, 2000, false},
	} {
		body := strings.Repeat("y", c.size)
		whole := entryBytes(t, body, true, c.recipients)
		take := func(b []byte) (direct, byFile error) {
			e, err := OpenEntry(writeEntry(t, b, ""), testID)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			defer e.Close()
			if (e.text != nil) != c.inMemory || (e.f == nil) != c.inMemory {
				t.Errorf("%s: in memory: %v", c.name, e.text != nil)
			}
			got, direct := e.Bytes()
			if direct == nil && string(got) != body {
				t.Errorf("%s: another body of %d bytes", c.name, len(got))
			}
			f, byFile := e.Body()
			if byFile == nil {
				f.Close()
			}
			return direct, byFile
		}
		if direct, byFile := take(whole); direct != nil || byFile != nil {
			t.Errorf("%s: %v, %v", c.name, direct, byFile)
		}
		for _, at := range []int{0, c.size / 2, c.size - 1} {
			if c.size == 0 {
				break
			}
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1
			if direct, byFile := take(damaged); !errors.Is(direct, ErrDamaged) || !errors.Is(byFile, ErrDamaged) {
				t.Errorf("%s, flip at %d: %v, %v", c.name, at, direct, byFile)
			}
		}
	}
}

// Nobody writes a short body outside of its entry. If there is one, nothing of
// the entry is taken for it.
func TestShortBodyOutside(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("y", 5000)
	e, err := OpenEntry(writeEntry(t, entryBytes(t, body, false, 1), body), testID)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Bytes(); !errors.Is(err, ErrDamaged) {
		t.Errorf("bytes of a body that is not inline: %v", err)
	}
	f, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// What the entry of a short message holds stays readable without its file.
func TestShortEntryNeedsNoFile(t *testing.T) {
	t.Parallel()
	l := writeEntry(t, entryBytes(t, "body\n", true, 3), "")
	e, err := OpenEntry(l, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := os.Truncate(l.Entry(testID), 3); err != nil {
		t.Fatal(err)
	}
	if body, err := e.Bytes(); err != nil || string(body) != "body\n" {
		t.Errorf("%q, %v", body, err)
	}
	if n, err := e.CountRecipients(); err != nil || n != 3 {
		t.Errorf("%d recipients, %v", n, err)
	}
}

func TestOutsideBodyDamage(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("y", MaxInlineBody+1)
	for _, c := range []struct {
		name, found string
		want        error
	}{
		{"missing", "", ErrTorn},
		{"short", body[1:], ErrTorn},
		{"long", body + "y", ErrDamaged},
		{"changed", "z" + body[1:], ErrDamaged},
	} {
		e, err := OpenEntry(writeEntry(t, entryBytes(t, body, false, 1), c.found), testID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.CheckBody(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		e.Close()
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	head := string(testEnvelope(t, 0))
	for _, c := range []struct{ name, envelope string }{
		{"empty", ""},
		{"only a sender", "Fa@b\x00"},
		{"recipient first", "Tx@y\x00" + head},
		{"sender twice", head + "Fa@b\x00"},
		{"empty record", head + "\x00"},
		{"no end", head + "Ta@b"},
		{"too long", head + "T" + strings.Repeat("a", address.MaxLen+1) + "\x00"},
		{"far too long", head + "T" + strings.Repeat("a", 100000) + "\x00"},
		{"line end in an address", head + "Ta\nb@c\x00"},
		{"empty domain", head + "Ta@\x00"},
		{"uid is no number", strings.Replace(head, "u1000", "u-1", 1)},
		{"bulk without its value", head + "b\x00Ta@b\x00"},
		{"bulk of another value", head + "b2\x00Ta@b\x00"},
		{"bulk twice", head + "b1\x00b1\x00Ta@b\x00"},
		{"bulk behind a recipient", head + "Ta@b\x00b1\x00"},
		{"a client that is none", head + "cx\x00Ta@b\x00"},
		{"bad nonce", strings.Replace(head, "n01", "nzz", 1)},
	} {
		e, err := NewEnvelopeReader(strings.NewReader(c.envelope))
		for err == nil {
			_, err = e.Next()
		}
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// Who sent a message and whether it was sent in bulk come back.
func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, want := range []Head{
		{}, {Bulk: true}, {Facts: esmtp.Message{Client: netip.MustParseAddr("192.0.2.1")}},
		{Bulk: true, Facts: esmtp.Message{User: "joe", Client: netip.MustParseAddr("2001:db8::1"), Return: esmtp.Full}},
	} {
		want.Sender, want.Arrived = mustAddress(t, "s@example.org"), testID.Time()
		r, err := NewEnvelopeReader(bytes.NewReader(AppendRecipient(AppendHead(nil, want), mustAddress(t, "r@example.com"))))
		if err != nil {
			t.Fatal(err)
		}
		if to, err := r.Next(); err != nil || to.String() != "r@example.com" || r.Head.Bulk != want.Bulk || r.Head.Facts != want.Facts {
			t.Errorf("%+v is read as %+v; %v, %v", want, r.Head, to, err)
		}
	}
}

// What ESMTP says of message and recipients comes back with each of them.
func TestFacts(t *testing.T) {
	t.Parallel()
	message := esmtp.Message{UTF8: true, Return: esmtp.Headers, EnvelopeID: "QQ+2B"}
	facts := []esmtp.Recipient{
		{Notify: esmtp.Success | esmtp.Delay, Original: "rfc822;a@example.com"},
		{},
		{Notify: esmtp.Never},
	}
	b := AppendHead(nil, Head{Sender: mustAddress(t, "s@example.org"), Arrived: testID.Time(), Facts: message})
	for i, f := range facts {
		b = AppendRecipient(f.Append(b), mustAddress(t, fmt.Sprintf("r%d@example.com", i)))
	}
	r, err := NewEnvelopeReader(bytes.NewReader(b))
	if err != nil || r.Head.Facts != message {
		t.Fatalf("facts %+v, %v", r.Head.Facts, err)
	}
	for i, want := range facts {
		a, err := r.Next()
		if err != nil || a.String() != fmt.Sprintf("r%d@example.com", i) || r.Facts != want {
			t.Errorf("recipient %d: %v %+v, %v", i, a, r.Facts, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// Records of a later version: what need not be known is passed over, what must
// be is an error; ours do not stand elsewhere.
func TestRecordsOfOtherVersions(t *testing.T) {
	t.Parallel()
	const start = "Fs@x\x00u1\x00a1\x00n00000000000000000000000000000000\x00"
	for _, c := range []struct {
		records    string
		recipients int // -1: damaged
	}{
		{"Ta@x\x00", 1},
		{"z1\x00U\x00y\x00Nnever\x00q\x00Ta@x\x00k\x00Tb@x\x00v\x00", 2},
		{"Z1\x00Ta@x\x00", -1},
		{"Ta@x\x00Q\x00Tb@x\x00", -1},
		{"Ta@x\x00U\x00Tb@x\x00", -1},
		{"NNEVER\x00U\x00Tb@x\x00", -1},
		{"U\x00U\x00Tb@x\x00", -1},
		{"Ux\x00Tb@x\x00", -1},
		{"NNEVER\x00NNEVER\x00Tb@x\x00", -1},
		{"NSOMETIMES\x00Tb@x\x00", -1},
		{"u1\x00Tb@x\x00", -1},
		{"Ta@x\x00NNEVER\x00", -1},
		{"\x00Ta@x\x00", -1},
		{"Ta@x", -1},
	} {
		r, err := NewEnvelopeReader(strings.NewReader(start + c.records))
		n := 0
		for err == nil {
			if _, err = r.Next(); err == nil {
				n++
			}
		}
		if c.recipients < 0 {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("%q: %d recipients, %v", c.records, n, err)
			}
		} else if n != c.recipients || err != io.EOF {
			t.Errorf("%q: %d recipients, %v", c.records, n, err)
		}
	}
}

// TestEntryThatShrinks: what became shorter behind our back is torn, whoever
// finds it.
func TestEntryThatShrinks(t *testing.T) {
	t.Parallel()
	l := writeEntry(t, entryBytes(t, strings.Repeat("y", MaxInlineBody), true, 1), "")
	e, err := OpenEntry(l, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := os.Truncate(l.Entry(testID), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Bytes(); !errors.Is(err, ErrTorn) {
		t.Errorf("bytes: %v", err)
	}
	if f, err := e.Body(); f != nil || !errors.Is(err, ErrTorn) {
		t.Errorf("body: %v", err)
	}
	if err := e.check(); !errors.Is(err, ErrTorn) {
		t.Errorf("check: %v", err)
	}
}

// TestMalformedEnvelopeOfEntry: a checksum that fits makes no envelope of it.
func TestMalformedEnvelopeOfEntry(t *testing.T) {
	t.Parallel()
	for _, envelope := range []string{"", "Ta@b\x00", string(testEnvelope(t, 1)) + "Ta@\x00", string(testEnvelope(t, 1)) + "Ta@b"} {
		e, err := EntryOf(testID, AppendFooter([]byte(envelope), Footer{Inline: true, EnvelopeSize: int64(len(envelope))},
			Checksum(0, []byte(envelope))))
		if err != nil {
			t.Fatalf("%q: %v", envelope, err)
		}
		if n, err := e.CountRecipients(); n != 0 || !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %d recipients, %v", envelope, n, err)
		}
	}
}

// TestReadErrors: an error of the disk is told as it is, and is not taken for
// damage.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("EIO")
	bad := iotest.ErrReader(broken)
	if _, err := checksumOf(bad); err != broken {
		t.Errorf("checksum: %v", err)
	}
	if err := readError(broken); err != broken {
		t.Errorf("read: %v", err)
	}
	r, err := NewEnvelopeReader(io.MultiReader(bytes.NewReader(testEnvelope(t, 1)), bad))
	if err == nil {
		_, err = r.Next()
	}
	if err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
		t.Errorf("envelope: %v", err)
	}
	if err := NewerDrop(failingReaderAt{broken}, 10); err != broken {
		t.Errorf("footer: %v", err)
	}
	f := handedFile(t, nil)
	f.Close()
	if _, err := ReadProgress(f, 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("progress: %v", err)
	}
}

type failingReaderAt struct{ err error }

func (r failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// TestHeadRecords: each record of the head has its letter and a value of its
// form; what fits by its value alone is in the wrong place.
func TestHeadRecords(t *testing.T) {
	t.Parallel()
	const nonce = "000102030405060708090a0b0c0d0e0f"
	head := func(sender, uid, arrived, nonce string) string {
		return sender + "\x00" + uid + "\x00" + arrived + "\x00" + nonce + "\x00"
	}
	for _, c := range []struct {
		name, head string
		want       error
	}{
		{"good", head("Fs@x", "u1", "a2", "n"+nonce), nil},
		{"sender of another letter", head("fs@x", "u1", "a2", "n"+nonce), ErrDamaged},
		{"sender of a letter that is not known", head("As@x", "u1", "a2", "n"+nonce), ErrNewer},
		{"uid of another letter", head("Fs@x", "w1", "a2", "n"+nonce), ErrDamaged},
		{"arrival of another letter", head("Fs@x", "u1", "u2", "n"+nonce), ErrDamaged},
		{"nonce of another letter", head("Fs@x", "u1", "a2", "m"+nonce), ErrDamaged},
		{"uid that is none", head("Fs@x", "u4294967296", "a2", "n"+nonce), ErrDamaged},
		{"arrival that is none", head("Fs@x", "u1", "ax", "n"+nonce), ErrDamaged},
		{"short nonce", head("Fs@x", "u1", "a2", "n"+nonce[2:]), ErrDamaged},
		{"long nonce", head("Fs@x", "u1", "a2", "n"+nonce+"00"), ErrDamaged},
	} {
		if _, err := NewEnvelopeReader(strings.NewReader(c.head)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for i := range Buckets {
		id := NewID(testID.Time(), 1, i)
		if id.BucketIndex() != i || id.Bucket() != BucketName(i) {
			t.Errorf("bucket %d is %d, %s", i, id.BucketIndex(), id.Bucket())
		}
	}
}
