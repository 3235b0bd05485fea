package retry

import (
	"math"
	"testing"
	"time"

	"postrider/internal/route"
	"postrider/qmail-send/timeline"
)

const birthOfTests = timeline.Moment(1795307856_654321000)

func ageIn(m timeline.Moment) int64 { return int64(m-birthOfTests) / int64(time.Second) }

// With prompt passes, attempts are at 100 k² and 400 k² seconds (spec 2.5).
func TestNextAttemptCurve(t *testing.T) {
	t.Parallel()
	for c, step := range [route.Channels]int64{route.Local: 100, route.Remote: 400} {
		at := birthOfTests.Add(300 * time.Millisecond)
		for k := int64(1); k < 200; k++ {
			at = quadratic(route.Channel(c)).Next(birthOfTests, at)
			if ageIn(at) != step*k*k || at.Add(-time.Duration(step*k*k)*time.Second) != birthOfTests {
				t.Fatalf("channel %d: attempt %d at age %d, want %d", c, k, ageIn(at), step*k*k)
			}
			at = at.Add(500 * time.Microsecond) // the pass starts a little later
		}
	}
}

// The last remote attempt within a queuelifetime of 604800 s is k = 39.
func TestLastAttempt(t *testing.T) {
	t.Parallel()
	lifetime := 604800 * time.Second
	at, k := birthOfTests, int64(0)
	for at <= birthOfTests.Add(lifetime) {
		at = quadratic(route.Remote).Next(birthOfTests, at)
		k++
	}
	if k != 39 || ageIn(at) != 608400 {
		t.Errorf("the dying attempt is k=%d at age %d, want 39 at 608400", k, ageIn(at))
	}
}

func TestNextAttemptOddTimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		age  time.Duration
		c    route.Channel
		want int64
	}{
		{"at birth", 0, route.Local, 100},
		{"born in the future", -30 * 24 * time.Hour, route.Remote, 400},
		{"late pass", 250 * time.Second, route.Local, 625},
		{"late pass remote", 450 * time.Second, route.Remote, 1681},
		{"a year", 365 * 24 * time.Hour, route.Remote, 5635 * 5635},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := ageIn(quadratic(tc.c).Next(birthOfTests, birthOfTests.Add(tc.age))); got != tc.want {
				t.Errorf("next attempt at age %d, want %d", got, tc.want)
			}
		})
	}
}

func TestNotBefore(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ age, local, remote int64 }{
		{0, 0, 0}, {1, 100, 400}, {100, 100, 400}, {101, 400, 400}, {400, 400, 400}, {900, 900, 1600}, {1600, 1600, 1600},
	} {
		at := birthOfTests.Add(time.Duration(tc.age) * time.Second)
		if got := ageIn(quadratic(route.Local).NotBefore(birthOfTests, at)); got != tc.local {
			t.Errorf("local attempt from age %d on is at %d, want %d", tc.age, got, tc.local)
		}
		if got := ageIn(quadratic(route.Remote).NotBefore(birthOfTests, at)); got != tc.remote {
			t.Errorf("remote attempt from age %d on is at %d, want %d", tc.age, got, tc.remote)
		}
	}
}

func TestIsqrt(t *testing.T) {
	t.Parallel()
	for n := int64(0); n < 1<<32; n += n/1000 + 1 {
		r := isqrt(n)
		if r*r > n || (r+1)*(r+1) <= n {
			t.Fatalf("isqrt(%d) = %d", n, r)
		}
	}
	if isqrt(1<<32) != 65535 || isqrt(math.MaxInt64) != 65535 {
		t.Error("isqrt is not limited to 16 bits")
	}
}
