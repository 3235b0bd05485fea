package accounts

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

const homeTime = 2 * time.Second

// away is a file server that does not answer until it comes back.
type away struct{ back chan struct{} }

func (a away) look() (int, error) {
	<-a.back
	return 1, nil
}

func here() (int, error) { return 2, nil }

func TestWithin(t *testing.T) {
	t.Parallel()
	r := NewReach(time.Minute)
	if n, err := Within(r, "/home/joe", here); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := Within(r, "/home/joe", func() (int, error) { return 0, unix.EIO }); err != unix.EIO {
		t.Errorf("an error becomes %v", err)
	}
}

// Homes on a server that is away take their time once, then none; others are
// not held up; and all is as before when it comes back.
func TestServerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := NewReach(homeTime)
		server := away{make(chan struct{})}
		slow := 0
		for i := range 1000 {
			begun := time.Now()
			_, err := Within(r, fmt.Sprintf("/nfs/%d", i), server.look)
			switch took := time.Since(begun); {
			case errors.Is(err, errSlow) && took == homeTime:
				slow++
			case errors.Is(err, errHung) && took == 0:
			default:
				t.Fatalf("look %d: %v after %v", i, err, took)
			}
			if n, err := Within(r, "/home/joe", here); n != 2 || err != nil {
				t.Fatalf("another home: %d, %v", n, err)
			}
		}
		if slow != maxHungBeside {
			t.Errorf("%d were waited for, want %d", slow, maxHungBeside)
		}
		close(server.back)
		synctest.Wait()
		if n, err := Within(r, "/nfs/1", here); n != 2 || err != nil || r.all != 0 || len(r.hung) != 0 {
			t.Errorf("afterwards: %d, %v, %d hang, %v", n, err, r.all, r.hung)
		}
	})
}

// One user who makes his home hang, and many servers that are away.
func TestHungBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := NewReach(homeTime)
		server := away{make(chan struct{})}
		for range 100 {
			_, _ = Within(r, "/home/mallory", server.look) // how they end is counted
		}
		if r.all != maxHungHome {
			t.Errorf("one home holds %d looks, want %d", r.all, maxHungHome)
		}
		if n, err := Within(r, "/home/joe", here); n != 2 || err != nil {
			t.Errorf("the home beside: %d, %v", n, err)
		}
		for i := range 1000 {
			_, _ = Within(r, fmt.Sprintf("/%d/home", i), server.look) // the same
		}
		if r.all != maxHung {
			t.Errorf("%d looks hang, want %d", r.all, maxHung)
		}
		close(server.back)
		synctest.Wait()
	})
}
