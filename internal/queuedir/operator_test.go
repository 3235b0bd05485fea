package queuedir

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
)

var orderTime = time.Unix(1795000000, 0)

// orders are records of operators, and one of an attempt.
func orderRecords() (b []byte, want []Record) {
	want = []Record{
		{Kind: Held, Time: orderTime, UID: 0, Text: "under \\ suspicion\n"},
		{Kind: Released, Time: orderTime, UID: 4294967295},
		{Kind: Readdress, Indexes: []int{0, 1, 2, 7, 9, 10}, Time: orderTime, UID: 1000, Text: "new \xff@example.org"},
		{Kind: Reroute, Indexes: []int{3}, Time: orderTime, UID: 1, Text: ""},
		{Kind: Reroute, Indexes: []int{3}, Time: orderTime, UID: 1, Text: "[192.0.2.1]:2525"},
		{Kind: Cancelled, Time: orderTime, UID: 7},
	}
	for _, r := range want {
		b = AppendOrder(b, r, r.UID, r.Time)
	}
	tried := Record{Kind: Tried, Indexes: []int{4, 5, 11}, Time: orderTime, Text: "no route to host"}
	return AppendTried(b, tried.Indexes, tried.Time, tried.Text), append(want, tried)
}

func TestOrdersRoundTrip(t *testing.T) {
	t.Parallel()
	b, want := orderRecords()
	var got []Record
	size, err := ReadRecords(bytes.NewReader(b), func(r Record, _ int64) error {
		got = append(got, r)
		return nil
	})
	if err != nil || size != int64(len(b)) || !reflect.DeepEqual(got, want) {
		t.Errorf("%d of %d bytes, %v\n got %+v\nwant %+v", size, len(b), err, got, want)
	}
}

// TestManyIndexes: no line is longer than a reader takes.
func TestManyIndexes(t *testing.T) {
	t.Parallel()
	var odd []int
	for i := range 2500 {
		odd = append(odd, 2*i+1<<30)
	}
	text := strings.Repeat("\x00", 2*MaxReason)
	b := AppendTried(nil, odd, orderTime, text)
	b = AppendOrder(b, Record{Kind: Readdress, Indexes: odd, Text: text}, 0, orderTime)
	var got []int
	_, err := ReadRecords(bytes.NewReader(b), func(r Record, _ int64) error {
		got = append(got, r.Indexes...)
		if len(r.Text) != MaxReason {
			t.Errorf("a text of %d bytes", len(r.Text))
		}
		return nil
	})
	if err != nil || !reflect.DeepEqual(got, append(odd, odd...)) {
		t.Errorf("%d indexes, %v", len(got), err)
	}
	for line := range bytes.Lines(b) {
		if len(line) > maxProgressLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestProgressOfOrders(t *testing.T) {
	t.Parallel()
	b, _ := orderRecords()
	p, err := ReadProgress(bytes.NewReader(b), 12)
	if err != nil || p.Held || p.Delivered != 12 || !p.Finished.Has(11) {
		t.Errorf("%+v, %v", p, err)
	}
	if got := p.Changes[3]; got != (Change{Relay: "[192.0.2.1]:2525"}) {
		t.Errorf("recipient 3: %+v", got)
	}
	if got := p.Changes[10]; got != (Change{Address: "new \xff@example.org"}) {
		t.Errorf("recipient 10: %+v", got)
	}
	if _, err := ReadProgress(bytes.NewReader(b), 11); !errors.Is(err, ErrDamaged) {
		t.Errorf("an attempt for a recipient that is not there: %v", err)
	}
	if p, err := ReadProgress(bytes.NewReader(AppendOrder(nil, Record{Kind: Held}, 0, orderTime)), 1); err != nil || !p.Held || p.Delivered != 0 {
		t.Errorf("held: %+v, %v", p, err)
	}
}

// TestLaterVersions: what a later version says with a small letter is passed
// over, and what it says with a capital one must be understood.
func TestLaterVersions(t *testing.T) {
	t.Parallel()
	line := func(s string) []byte { return finishLine([]byte("12345678 "+s), 0) }
	good := AppendDelivered(nil, []int{0})
	p, err := ReadProgress(bytes.NewReader(append(line("z of what 7 nobody knows"), good...)), 1)
	if err != nil || p.Delivered != 1 {
		t.Errorf("a small letter: %+v, %v", p, err)
	}
	if _, err := ReadProgress(bytes.NewReader(append(line("Z of what nobody knows"), good...)), 1); !errors.Is(err, ErrNewer) {
		t.Errorf("a capital letter: %v", err)
	}
	if _, err := ReadProgress(bytes.NewReader(append(bytes.Clone(good), line("Z of what nobody knows")...)), 1); !errors.Is(err, ErrNewer) {
		t.Errorf("a capital letter in the last line: %v", err)
	}
	for _, bad := range []string{"t 1-0 5 x", "t 0-5000 5 x", "t 1 x", "t , 5 x", "H 5", "H 5 x y", "H x 0 y", "R 5 4294967296", "A 1 5 0", "V 5 0 host", "C 5"} {
		if _, err := ReadProgress(bytes.NewReader(append(line(bad), good...)), 9); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestMend: what was never synced may be cut, lost or zeros, and costs nothing
// but itself.
func TestMend(t *testing.T) {
	t.Parallel()
	synced := AppendDelivered(nil, []int{0})
	tried := AppendTried(AppendTried(nil, []int{1}, orderTime, "one"), []int{2}, orderTime, "two")
	p, err := ReadProgress(bytes.NewReader(append(bytes.Clone(synced), tried...)), 4)
	if err != nil || p.Synced != int64(len(synced)) || p.Size != int64(len(synced)+len(tried)) {
		t.Fatalf("%+v, %v", p, err)
	}
	later := p.Mend(AppendFailed(nil, 3, orderTime, "text"))
	for n := range len(tried) + 1 {
		for name, left := range map[string][]byte{
			"zeros behind":  append(bytes.Clone(tried[:n]), make([]byte, len(tried)-n)...),
			"zeros before":  append(make([]byte, len(tried)-n), tried[len(tried)-n:]...),
			"other content": append(bytes.Clone(tried[:n]), bytes.Repeat([]byte{'x'}, len(tried)-n)...),
		} {
			file := append(append(bytes.Clone(synced), left...), later...)
			got, err := ReadProgress(bytes.NewReader(file), 4)
			if err != nil || got.Delivered != 1 || got.Failed != 1 || got.Size != int64(len(file)) {
				t.Errorf("%s, %d bytes: %+v, %v", name, n, got, err)
			}
			// But not what was synced.
			file[3] ^= 1
			if _, err := ReadProgress(bytes.NewReader(file), 4); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %d bytes: damage before it: %v", name, n, err)
			}
		}
	}
}

// TestAddressesFit: an address is not cut.
func TestAddressesFit(t *testing.T) {
	t.Parallel()
	if MaxReason < address.MaxLen {
		t.Error("an address does not fit into a record")
	}
}

// appendAgain encodes what was read.
func appendAgain(b []byte, r Record) []byte {
	if r.Kind == Tried {
		return AppendTried(b, r.Indexes, r.Time, r.Text)
	}
	return AppendOrder(b, r, r.UID, r.Time)
}

// TestCountedOnce: whoever is told of twice, or is cancelled when he has the
// message, is one recipient.
func TestCountedOnce(t *testing.T) {
	t.Parallel()
	b := AppendDelivered(nil, []int{0, 1})
	b = AppendDelivered(b, []int{1})
	b = AppendFailed(b, 1, orderTime, "too late")
	b = AppendFailed(b, 2, orderTime, "no mailbox")
	read := func() Progress {
		t.Helper()
		p, err := ReadProgress(bytes.NewReader(b), 5)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := read(); p.Delivered != 2 || p.Failed != 1 || p.Unbounced != 1 {
		t.Errorf("%+v", p)
	}
	b = AppendOrder(b, Record{Kind: Cancelled}, 0, orderTime)
	if p := read(); p.Delivered != 4 || p.Failed != 1 || p.Unbounced != 0 {
		t.Errorf("cancelled: %+v", p)
	}
}

// TestToldByChannel: each channel has its own, and the later counts.
func TestToldByChannel(t *testing.T) {
	t.Parallel()
	b := AppendTold(nil, 'l', 2*time.Hour, testID)
	b = AppendTold(b, 'r', 3*time.Hour, testID)
	b = AppendTold(b, 'l', time.Hour, testID)
	p, err := ReadProgress(bytes.NewReader(b), 1)
	if want := map[byte]time.Duration{'l': 2 * time.Hour, 'r': 3 * time.Hour}; err != nil || !reflect.DeepEqual(p.Told, want) {
		t.Errorf("%v, %v", p.Told, err)
	}
}

// TestLineForms: ranges, and what is escaped.
func TestLineForms(t *testing.T) {
	t.Parallel()
	b := AppendTried(nil, []int{0, 1, 2, 7, 9, 10}, orderTime, " ~\x7f\x1f\\\n")
	if want := ` t 0-2,7,9-10 1795000000  ~\x7f\x1f\\\n` + "\n"; !strings.HasSuffix(string(b), want) {
		t.Errorf("%q, want %q", b, want)
	}
	if one, many := progressLimit(0), progressLimit(1000); one != progressOfMessage || many != progressOfMessage+1000*progressOfRecipient {
		t.Errorf("limits %d, %d", one, many)
	}
	if n := len(NewBitmap(65)); n != 2 {
		t.Errorf("65 recipients take %d words", n)
	}
}
