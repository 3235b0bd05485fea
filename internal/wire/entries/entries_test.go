package entries

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

var id = queuedir.NewID(time.UnixMicro(1795000000123456), 1, 2)

var all = []Message{
	{Kind: Announced, ID: id, UID: 1000, Size: 4096, Envelope: []byte("Fa@b\x00")},
	{Kind: Announced, ID: id, UID: 0, Size: 1 << 40},
	{Kind: Scan},
	{Kind: Removed, ID: id},
	{Kind: Committed, ID: id},
	{Kind: NotCommitted, ID: id},
	{Kind: Quarantined, ID: id},
	{Kind: Remove, ID: id},
	{Kind: Query, ID: id},
	{Kind: Quarantine, ID: id, Torn: true},
	{Kind: Quarantine, ID: id},
}

func decodeAll(packet []byte) ([]Message, error) {
	var got []Message
	err := Decode(packet, func(m Message) error {
		if len(m.Envelope) == 0 {
			m.Envelope = nil
		}
		got = append(got, m)
		return nil
	})
	return got, err
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	var packet []byte
	for _, m := range all {
		packet = Append(packet, m)
	}
	got, err := decodeAll(packet)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, m := range all {
		whole := Append(nil, m)
		for n := 1; n < len(whole); n++ {
			if _, err := decodeAll(whole[:n]); err == nil {
				t.Errorf("%c cut at %d was taken", m.Kind, n)
			}
		}
	}
	large := Append(nil, Message{Kind: Announced, ID: id, Envelope: make([]byte, MaxInlineEnvelope+1)})
	for _, bad := range [][]byte{large, []byte("?"), []byte("R../../../../etc/passw")} {
		if _, err := decodeAll(bad); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range all {
		f.Add(Append(nil, m))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		got, err := decodeAll(packet)
		if err != nil {
			return
		}
		var again []byte
		for _, m := range got {
			again = Append(again, m)
		}
		if !bytes.Equal(again, packet) {
			t.Errorf("%q reads as %+v, which is %q", packet, got, again)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	announced := Append(nil, Message{Kind: Announced, ID: id, Size: 1 << 62})
	if got, err := decodeAll(announced); err != nil || got[0].Size != 1<<62 {
		t.Errorf("the largest size: %+v, %v", got, err)
	}
	beyond := bytes.Clone(announced)
	beyond[1+len(id)+4+7]++ // the last byte of the size
	quarantine := Append(nil, Message{Kind: Quarantine, ID: id})
	quarantine[len(quarantine)-1] = 2
	for name, packet := range map[string][]byte{
		"size": beyond, "torn": quarantine, "kind": []byte("?"), "number": append([]byte{byte(Remove)}, "1234567890123456789x"...),
		"long envelope": Append(nil, Message{Kind: Announced, ID: id, Envelope: make([]byte, MaxInlineEnvelope+1)}),
	} {
		if got, err := decodeAll(packet); len(got) != 0 || err == nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := decodeAll(Append(nil, Message{Kind: Announced, ID: id, Envelope: make([]byte, MaxInlineEnvelope)})); err != nil || len(got[0].Envelope) != MaxInlineEnvelope {
		t.Errorf("the largest envelope: %v", err)
	}
}

// Decode stops at the error of who takes the messages, and returns it.
func TestDecodeStops(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	n := 0
	err := Decode(Append(Append(nil, all[2]), all[2]), func(Message) error { n++; return enough })
	if n != 1 || err != enough {
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for m, want := range map[Kind]int{Scan: 1, Removed: 21, Quarantine: 22, Announced: 21 + 4 + 8 + 4} {
		if got := Size(Message{Kind: m, ID: id}); got != want {
			t.Errorf("%c: %d bytes, want %d", m, got, want)
		}
	}
}
