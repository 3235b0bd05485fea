package sessionlimit

import (
	"net/netip"
	"testing"
)

func TestLimitsByAddress(t *testing.T) {
	t.Parallel()
	c := New(64)
	a, b := netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:0:1:ffff::2")
	other, v4 := netip.MustParseAddr("2001:db8:0:2::1"), netip.MustParseAddr("192.0.2.1")
	for _, step := range []struct {
		addr netip.Addr
		want Verdict
	}{{a, Counted}, {b, FullForAddress}, {other, Counted}, {v4, Counted}, {netip.MustParseAddr("192.0.2.2"), Full}} {
		if got := c.Enter(step.addr, 3, 1); got != step.want {
			t.Errorf("%v: %v, want %v", step.addr, got, step.want)
		}
	}
	for _, addr := range []netip.Addr{b, other, v4} {
		c.Leave(addr)
	}
	if sessions, addresses := c.Open(); sessions != 0 || addresses != 0 {
		t.Errorf("left: %d sessions from %d addresses", sessions, addresses)
	}
}
