package queuedir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var failedAt = time.Unix(1795307856, 0)

const failedText = "<q@x.sub.example.org>:\nhard\n/err\\\x00\xff\n\n"

func sampleProgress() ([]byte, []int) {
	var b []byte
	var ends []int
	for _, add := range []func([]byte) []byte{
		func(b []byte) []byte { return AppendDelivered(b, []int{0, 2}) },
		func(b []byte) []byte { return AppendFailed(b, 1, failedAt, failedText) },
		func(b []byte) []byte { return AppendBounced(b, NewID(failedAt, 7, 42)) },
		func(b []byte) []byte { return AppendDeferred(b, 3, failedAt, "busy\n") },
		func(b []byte) []byte { return AppendTold(b, 'r', 4*time.Hour, NewID(failedAt, 7, 43)) },
		func(b []byte) []byte { return AppendFailed(b, 4, failedAt, "late") },
	} {
		b = add(b)
		ends = append(ends, len(b))
	}
	return b, ends
}

func TestProgressGolden(t *testing.T) {
	b, ends := sampleProgress()
	want := "615e5f2d d 0 2\n" +
		`a4579a49 f 1 1795307856 <q@x.sub.example.org>:\nhard\n/err\\\x00\xff\n\n` + "\n" +
		"13c250c2 b 17953078560000000742\n" +
		"c086d68c y 3 1795307856 busy\\n\n" +
		"514d5984 n r 14400 17953078560000000743\n" +
		"28da867f f 4 1795307856 late\n"
	if string(b) != want {
		t.Errorf("progress file is\n%swant\n%s", b, want)
	}

	p, err := ReadProgress(iotest.OneByteReader(bytes.NewReader(b)), 5)
	if err != nil {
		t.Fatal(err)
	}
	if p.Delivered != 2 || p.Failed != 2 || p.Unbounced != 1 || p.Bounced != int64(ends[2]) || p.Size != int64(len(b)) || p.Told['r'] != 4*time.Hour {
		t.Errorf("progress is %+v", p)
	}
	for i, want := range []bool{true, true, true, false, true} {
		if p.Finished.Has(i) != want {
			t.Errorf("recipient %d finished: %v", i, !want)
		}
	}
	var texts []string
	if _, err := ReadRecords(bytes.NewReader(b), func(r Record, _ int64) error {
		if r.Kind == Failed {
			texts = append(texts, r.Text)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{failedText, "late"}; !reflect.DeepEqual(texts, want) {
		t.Errorf("texts are %q, want %q", texts, want)
	}
}

// Truncated anywhere, a progress file says what its whole lines say (R16).
func TestProgressTornAtEveryByte(t *testing.T) {
	b, ends := sampleProgress()
	for n := range len(b) + 1 {
		p, err := ReadProgress(bytes.NewReader(b[:n]), 5)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		good := 0
		for _, end := range ends {
			if end <= n {
				good = end
			}
		}
		if p.Size != int64(good) {
			t.Errorf("cut at %d: %d bytes are good, want %d", n, p.Size, good)
		}
	}
}

// A flip of any bit is damage, or in the last line something ignored (R16).
func TestProgressFlippedAtEveryByte(t *testing.T) {
	b, ends := sampleProgress()
	last := ends[len(ends)-2]
	for i := range b {
		for bit := range 8 {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << bit
			p, err := ReadProgress(bytes.NewReader(flipped), 5)
			switch {
			case i < last-1 && !errors.Is(err, ErrDamaged):
				t.Errorf("bit %d of byte %d: %+v, %v; want ErrDamaged", bit, i, p, err)
			case i == last-1 && (err != nil || p.Size != int64(ends[len(ends)-3])):
				// The LF between the last two lines: both became one bad line.
				t.Errorf("bit %d of byte %d: %+v, %v; want the two lines before", bit, i, p, err)
			case i >= last && (err != nil || p.Size != int64(last)):
				t.Errorf("bit %d of byte %d: %+v, %v; want all but the last line", bit, i, p, err)
			}
		}
	}
}

func TestProgressRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		data []byte
	}{
		{"index beyond the envelope", AppendDelivered(nil, []int{5})},
		{"failed index beyond the envelope", AppendFailed(nil, 7, failedAt, "x")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := ReadProgress(bytes.NewReader(tc.data), 5); !errors.Is(err, ErrDamaged) {
				t.Errorf("error is %v, want ErrDamaged", err)
			}
		})
	}
	broken := errors.New("EIO")
	if _, err := ReadProgress(iotest.ErrReader(broken), 5); !errors.Is(err, broken) {
		t.Errorf("error is %v, want that of the reader", err)
	}
}

func TestProgressManyRecipients(t *testing.T) {
	const n = 50_000
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = i
	}
	b := AppendDelivered(nil, indexes)
	p, err := ReadProgress(bytes.NewReader(b), n)
	if err != nil || p.Delivered != n {
		t.Errorf("%d delivered, %v", p.Delivered, err)
	}
	long := AppendFailed(nil, 0, failedAt, strings.Repeat("\x00", 10*MaxFailureText))
	if len(long) > maxProgressLine {
		t.Errorf("a failure has %d bytes", len(long))
	}
	if _, err := ReadProgress(bytes.NewReader(long), 1); err != nil {
		t.Error(err)
	}
}

func TestProgressLongGarbageIsTorn(t *testing.T) {
	b := AppendDelivered(nil, []int{1})
	tail := bytes.Repeat([]byte{0}, 3*maxProgressLine)
	p, err := ReadProgress(io.MultiReader(bytes.NewReader(b), bytes.NewReader(tail)), 5)
	if err != nil || p.Size != int64(len(b)) {
		t.Errorf("progress %+v, %v", p, err)
	}
}

// A file that is longer than a message can make it is not read, unless what is too
// long of it is a hole at its end.
func TestProgressThatIsHuge(t *testing.T) {
	t.Parallel()
	good := AppendDelivered(nil, []int{1})
	for _, tc := range []struct {
		name     string
		size     int64 // of what is written
		hole     int64 // behind that
		filler   byte
		want     error
		wantSize int64
	}{
		{"short", 0, 0, 0, nil, int64(len(good))},
		{"with garbage at its end", 1 << 20, 0, 'x', nil, int64(len(good))},
		{"with a hole of 100 GB at its end", 0, 100 << 30, 0, nil, int64(len(good))},
		{"with garbage and a hole at its end", 1 << 20, 100 << 30, 'x', nil, int64(len(good))},
		{"too long", progressLimit(5) + 1, 0, 'x', ErrHuge, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Create(filepath.Join(t.TempDir(), "progress"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			content := append(good[:len(good):len(good)], bytes.Repeat([]byte{tc.filler}, int(tc.size))...)
			if _, err := f.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(int64(len(content)) + tc.hole); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			p, err := ReadProgress(f, 5)
			if !errors.Is(err, tc.want) || p.Size != tc.wantSize || tc.want == nil && p.Delivered != 1 {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// What is appended while a file is read is not seen, not even by half.
func TestProgressThatGrows(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "progress"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := AppendDelivered(nil, []int{1})
	if _, err := f.WriteAt(line, 0); err != nil {
		t.Fatal(err)
	}
	seen := 0
	size, err := ReadRecords(f, func(Record, int64) error {
		seen++
		_, err := f.WriteAt(AppendFailed(nil, 2, failedAt, strings.Repeat("x", 5000)), int64(len(line)))
		return err
	})
	if err != nil || seen != 1 || size != int64(len(line)) {
		t.Errorf("%d records, %d bytes, %v", seen, size, err)
	}
}

func FuzzProgress(f *testing.F) {
	b, _ := sampleProgress()
	f.Add(b)
	f.Add([]byte(""))
	f.Add([]byte("00000000 d 1\n"))
	orders, _ := orderRecords()
	f.Add(orders)
	f.Add(append(AppendMend([]byte("torn"), 4), orders...))
	f.Add(AppendBounced(nil, Discarded))
	f.Fuzz(func(t *testing.T, data []byte) {
		// What is good and read again gives the same, and encoding what was
		// read gives something that reads the same.
		var again []byte
		var records []Record
		good, err := ReadRecords(bytes.NewReader(data), func(r Record, _ int64) error {
			switch r.Kind {
			case Delivered:
				again = AppendDelivered(again, r.Indexes)
			case Failed:
				again = AppendFailed(again, r.Indexes[0], r.Time, r.Text)
			case Bounced:
				again = AppendBounced(again, r.Bounce)
			case Succeeded, Relayed:
				again = AppendSucceeded(again, r.Kind, r.Indexes[0], r.Time, r.Text)
			case Deferred:
				again = AppendDeferred(again, r.Indexes[0], r.Time, r.Text)
			case Told:
				again = AppendTold(again, r.Channel, r.Age, r.Bounce)
			case Tried, Held, Released, Cancelled, Readdress, Reroute:
				again = appendAgain(again, r)
			default:
				return nil
			}
			records = append(records, r)
			return nil
		})
		if good > int64(len(data)) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d good bytes of %d, %v", good, len(data), err)
		}
		n := 0
		if _, err := ReadRecords(bytes.NewReader(again), func(r Record, _ int64) error {
			if len(r.Indexes) <= deliveredPerLine && n < len(records) && len(records[n].Indexes) <= deliveredPerLine &&
				len(records[n].Text) <= MaxReason && fmt.Sprint(r) != fmt.Sprint(records[n]) {
				t.Fatalf("record %d: %v became %v", n, records[n], r)
			}
			n++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// Who is to hear of a success is owed a notice as for a failure.
func TestSuccessesToTell(t *testing.T) {
	t.Parallel()
	b := AppendSucceeded(nil, Succeeded, 0, failedAt, "<x>:\nyes\n\n")
	b = AppendSucceeded(b, Relayed, 2, failedAt, "<y>:\nyes\n\n")
	p, err := ReadProgress(bytes.NewReader(b), 3)
	if err != nil || p.Delivered != 2 || p.Failed != 0 || p.Unbounced != 2 || !p.Finished.Has(0) || p.Finished.Has(1) || !p.Finished.Has(2) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = ReadProgress(bytes.NewReader(AppendBounced(b, Discarded)), 3); err != nil || p.Unbounced != 0 || p.Delivered != 2 {
		t.Errorf("when told: %+v, %v", p, err)
	}
}

// A failure without a text counts as one, and is owed no bounce.
func TestFailureUntold(t *testing.T) {
	t.Parallel()
	b := AppendFailed(nil, 0, time.Unix(1795000000, 0), "")
	b = AppendFailed(b, 1, time.Unix(1795000000, 0), "<x>:\nno\n\n")
	p, err := ReadProgress(bytes.NewReader(b), 3)
	if err != nil || p.Failed != 2 || p.Unbounced != 1 || !p.Finished.Has(0) || !p.Finished.Has(1) || p.Size != int64(len(b)) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestMalformedRecords: a checksum that fits makes no record of what does not
// have its form.
func TestMalformedRecords(t *testing.T) {
	t.Parallel()
	id := testID.String()
	for _, c := range []struct {
		record string
		good   bool
	}{
		{"d 1 2 3", true}, {"d", false}, {"d ", false}, {"d x", false}, {"d 1  2", false}, {"d -1", false}, {"d 2147483648", false},
		{"d,1", false}, {" d 1", false},
		{"f 1 1795000000 text", true}, {"f 1 1795000000 ", true}, {"f 1 -1 text", true},
		{"f 1 1795000000", false}, {"f x 1795000000 text", false}, {"f 1 now text", false}, {"s 1 2", false},
		{`f 1 2 a\\b\nc\x7f`, true}, {`f 1 2 \q`, false}, {`f 1 2 a\`, false}, {`f 1 2 \x7`, false}, {`f 1 2 \xg0`, false},
		{`f 1 2 \x0g`, false}, {`f 1 2 \xAB`, false},
		{"b " + id, true}, {"b " + id + "0", false}, {"b x", false},
		{"n r 3600 " + id, true}, {"n r 3162240000 " + id, true}, {"n r 3162240001 " + id, false}, {"n rl 3600 " + id, false},
		{"n r -1 " + id, false}, {"n r 3600", false}, {"n r 3600 " + id + " x", false}, {"n r 3600 1", false},
		{"t 0,3-7 1795000000 text", true}, {"t 0,3-7 1795000000", false}, {"t 0,,7 1795000000 x", false}, {"t 7-3 1795000000 x", false},
		{"t 3- 1795000000 x", false}, {"t -3 1795000000 x", false}, {"t 0-999 1795000000 x", true}, {"t 0-1000 1795000000 x", false},
		{"t 0-999,1001 1795000000 x", false}, {"t 0 now x", false},
		{"H 1795000000 7 why", true}, {"H 1795000000 7", false}, {"H now 7 why", false}, {"H 1795000000 joe why", false},
		{"H 1795000000 4294967296 why", false},
		{"R 1795000000 7", true}, {"R 1795000000", false}, {"R 1795000000 7 why", false}, {"C 1795000000 7", true},
		{"A 1 1795000000 7 a@b", true}, {"A x 1795000000 7 a@b", false}, {"A 1 1795000000 7", false}, {"V 1 1795000000 7 ", true},
		{"P 0", true}, {"P x", false}, {"P -1", false}, {"P 4611686018427387904", false},
		{"z of a later version", true}, {"! 1", false}, {"{ 1", false}, {"\x00 1", false},
	} {
		line := finishLine([]byte("12345678 "+c.record), 0)
		n := 0
		size, err := ReadRecords(bytes.NewReader(line), func(Record, int64) error { n++; return nil })
		if want := map[bool]int{true: 1}[c.good]; n != want || err != nil || size != int64(want*len(line)) {
			t.Errorf("%q: %d records, %d bytes, %v", c.record, n, size, err)
		}
	}
}

// TestNothingToMend: nothing is put between what is whole and nothing.
func TestNothingToMend(t *testing.T) {
	t.Parallel()
	lines := AppendDelivered(nil, []int{1})
	if got := (Progress{Size: 10, Synced: 10}).Mend(lines); !bytes.Equal(got, lines) {
		t.Errorf("%q", got)
	}
	if got := (Progress{Size: 10, Synced: 5}).Mend(nil); got != nil {
		t.Errorf("%q for no lines", got)
	}
	if got := (Progress{Size: 11, Synced: 10}).Mend(lines); !bytes.HasPrefix(got, []byte("\n")) || !bytes.HasSuffix(got, append([]byte(" P 2\n"), lines...)) {
		t.Errorf("%q for a byte that was not synced", got)
	}
}

// TestManyHoles: a long file costs a bounded number of questions, and one that
// cannot be asked has the size that it says.
func TestManyHoles(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "progress"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const block, count = 64 << 10, maxHoles + 1
	for i := range int64(count) {
		if _, err := f.WriteAt([]byte("x"), i*block); err != nil {
			t.Fatal(err)
		}
	}
	const whole = int64(count) * block
	if err := f.Truncate(whole); err != nil {
		t.Fatal(err)
	}
	if end, err := dataEnd(f, whole); end != whole || err != nil {
		t.Errorf("%d, %v, want all %d", end, err, whole)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if end, err := dataEnd(r, 7); end != 7 || err != nil {
		t.Errorf("pipe: %d, %v", end, err)
	}
}
