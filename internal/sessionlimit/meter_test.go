package sessionlimit

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	joe, jim := Party{Addr: netip.MustParseAddr("192.0.2.1")}, Party{User: "jim"}
	var m Meter
	now := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		wait time.Duration
		who  Party
		want bool
	}{
		{0, joe, true}, {0, joe, true}, {0, joe, true}, {0, joe, false}, // three at once
		{0, jim, true},
		{20*time.Second - 1, joe, false}, {1, joe, true}, {0, joe, false}, // one in twenty seconds
		{time.Minute, joe, true}, {0, joe, true}, {0, joe, true}, {0, joe, false},
		{-time.Hour, joe, true}, // the clock was set back
	} {
		now = now.Add(step.wait)
		if got := m.Take(step.who, 3, time.Minute, now); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	for range 100 {
		if !m.Take(jim, 0, time.Minute, now) {
			t.Error("0 is a limit")
		}
	}
}

// A stranger with many addresses costs bounded memory, and does not make
// forgotten who has used up most.
func TestMeterIsBounded(t *testing.T) {
	t.Parallel()
	var m Meter
	now := time.Unix(1_800_000_000, 0)
	busy := Party{Addr: netip.MustParseAddr("192.0.2.1")}
	for range 10 {
		m.Take(busy, 10, time.Hour, now)
	}
	for i := range uint32(4 * maxMetered) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24+i)
		if !m.Take(Party{Addr: netip.AddrFrom4(b)}, 10, time.Hour, now) {
			t.Fatalf("client %d is refused", i)
		}
		if len(m.full) > maxMetered {
			t.Fatalf("%d clients are known", len(m.full))
		}
	}
	if m.Take(busy, 10, time.Hour, now) {
		t.Error("the busy client is forgotten")
	}
	m.Take(Party{User: "jim"}, 10, time.Hour, now.Add(2*time.Hour))
	if n := len(m.full); n >= maxMetered {
		t.Errorf("%d clients are known whose time is over", n)
	}
}
