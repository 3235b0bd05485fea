package fair

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/control"
	"postrider/internal/queuedir"
)

func headOf(t testing.TB, user, client string, uid uint32, bulk bool) queuedir.Head {
	t.Helper()
	head := queuedir.Head{UID: uid, Bulk: bulk}
	head.Facts.User = user
	if client != "" {
		var err error
		if head.Facts.Client, err = netip.ParseAddr(client); err != nil {
			t.Fatal(err)
		}
	}
	return head
}

// weightsOf returns a directory with one control file.
func weightsOf(t *testing.T, text string) control.Dir {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "senderweights"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return control.Dir(dir)
}

func TestSenders(t *testing.T) {
	t.Parallel()
	dir := weightsOf(t, "joe@x 3\nuid=1000 4\n192.0.2.0/24 5\n192.0.2.7 6\n2001:db8::/32 7\n")
	s, err := ReadSenders(dir)
	if err != nil {
		t.Fatal(err)
	}
	flows := make(map[Flow]string)
	for _, c := range []struct {
		user, client string
		uid          uint32
		bulk         bool
		same         string // as which one
		weight       uint16
	}{
		{"joe@x", "192.0.2.1", 1, false, "joe", 24}, {"joe@x", "", 2, false, "joe", 24}, {"joe@x", "", 2, true, "joe's bulk", 3},
		{"", "192.0.2.1", 1, false, "net 1", 40}, {"", "192.0.2.1", 5, false, "net 1", 40}, {"", "192.0.2.7", 1, false, "net 7", 48},
		{"", "198.51.100.1", 1, false, "other net", 8}, {"", "2001:db8::1", 1, false, "six", 56}, {"", "2001:db8::2", 1, false, "six", 56},
		{"", "2001:db8:0:1::1", 1, false, "six, another", 56}, {"", "", 1000, false, "local", 32}, {"", "", 1001, false, "local, another", 8},
		{"", "", 1001, true, "another's bulk", 1},
	} {
		head := headOf(t, c.user, c.client, c.uid, c.bulk)
		flow, weight := s.Flow(head)
		if was, known := flows[flow]; weight != c.weight || known && was != c.same || flow == Unknown {
			t.Errorf("%+v: weight %d, and the flow of %q", c, weight, was)
		}
		flows[flow] = c.same
	}
	if len(flows) != 10 {
		t.Errorf("%d flows: %v", len(flows), flows)
	}
	for i, bad := range []string{"joe", "joe 0", "joe 101", "joe x", "joe 1 2", "uid=x 1", "uid=99999999999 1"} {
		if _, err := ReadSenders(weightsOf(t, bad+"\n")); err == nil {
			t.Errorf("%d: %q is taken", i, bad)
		}
	}
	if fmt.Sprint(s.lengths) != "[[32 24] [32]]" {
		t.Errorf("lengths are %v", s.lengths)
	}
}
