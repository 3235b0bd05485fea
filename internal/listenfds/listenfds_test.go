package listenfds

import (
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ []string
		want    int
		fails   bool
	}{
		{nil, 0, false},
		{[]string{"LISTEN_PID=7", "LISTEN_FDS=2"}, 2, false},
		{[]string{"LISTEN_PID=8", "LISTEN_FDS=2"}, 0, false},
		{[]string{"LISTEN_FDS=2"}, 0, false},
		{[]string{"LISTEN_PID=7"}, 0, true},
		{[]string{"LISTEN_PID=7", "LISTEN_FDS=-1"}, 0, true},
		{[]string{"LISTEN_PID=7", "LISTEN_FDS=100000"}, 0, true},
	} {
		got, err := Count(c.environ, 7)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%q: %d, %v", c.environ, got, err)
		}
	}
	left := Strip([]string{"PATH=/bin", "LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=a", "LISTEN=x"})
	if strings.Join(left, " ") != "PATH=/bin LISTEN=x" {
		t.Errorf("left are %q", left)
	}
}
