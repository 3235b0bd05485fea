package maildirsize

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text   string
		quota, holds Count
		full         bool
	}{
		{"as Courier begins one", "10000000S\n", Count{Bytes: 10000000}, Count{}, false},
		{"bytes and messages", "1000S,10C\n500 5\n", Count{1000, 10}, Count{500, 5}, false},
		{"padded", "1000S\n         500            5\n          20            1\n", Count{Bytes: 1000}, Count{520, 6}, false},
		{"removed", "1000S\n1200 3\n-500 -1\n", Count{Bytes: 1000}, Count{700, 2}, false},
		{"as many bytes", "1000S\n1000 1\n", Count{Bytes: 1000}, Count{1000, 1}, true},
		{"as many messages", "1000000S,2C\n10 2\n", Count{1000000, 2}, Count{10, 2}, true},
		{"no limit", "0S\n99999 99\n", Count{}, Count{99999, 99}, false},
		{"less than nothing", "1000S\n-5 -1\n", Count{Bytes: 1000}, Count{-5, -1}, false},
	} {
		quota, holds, err := Parse(c.text)
		if quota != c.quota || holds != c.holds || holds.Reaches(quota) != c.full || err != nil {
			t.Errorf("%s: %v, %v, %v", c.name, quota, holds, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n", "1000S", "S\n", "1000\n", "1000X\n", "-1S\n", "1000S,\n", "1000S\n1\n", "1000S\n1 2 3\n", "1000S\n1 x\n",
		"1000S\n\n", "1000S\n5 1\n3", "1000S\n9223372036854775807 1\n1 1\n", "1000S\n-9223372036854775808 0\n-1 0\n",
		"99999999999999999999S\n", "1S\n" + strings.Repeat("1 1\n", MaxFile/4),
	} {
		if quota, holds, err := Parse(text); err == nil {
			t.Errorf("%.30q: %v, %v", text, quota, holds)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1000S,10C\n500 5\n-10 -1\n")
	f.Add("0S\n")
	f.Fuzz(func(t *testing.T, text string) {
		quota, holds, err := Parse(text)
		if err != nil {
			if quota != (Count{}) || holds != (Count{}) {
				t.Errorf("%q: an error, and %v, %v", text, quota, holds)
			}
			return
		}
		if quota.Bytes < 0 || quota.Messages < 0 {
			t.Errorf("%q: quota %v", text, quota)
		}
		if holds.Reaches(Count{}) {
			t.Errorf("%q reaches no limit", text)
		}
	})
}
