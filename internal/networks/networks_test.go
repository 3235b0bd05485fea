package networks

import (
	"net/netip"
	"testing"
)

func TestHas(t *testing.T) {
	t.Parallel()
	list, err := Parse([]string{"192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "fe80::1"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.0.2.255": true, "192.0.3.0": false, "198.51.100.7": true, "198.51.100.8": false,
		"2001:db8:1::": true, "2001:db9::": false, "fe80::1%3": true, "::ffff:192.0.2.1": false,
	} {
		if got := list.Has(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if (List)(nil).Has(netip.MustParseAddr("127.0.0.1")) {
		t.Error("an empty list has an address")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "localhost", "192.0.2.0/33", "192.0.2.", "::ffff:192.0.2.1", "192.0.2.1 ", "192.0.2.1-9"} {
		if list, err := Parse([]string{"127.0.0.1", line}); err == nil || list != nil {
			t.Errorf("%q: %v, %v", line, list, err)
		}
	}
}
