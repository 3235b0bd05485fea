package nss

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/accounts"
)

// directory counts how often it is asked.
type directory struct {
	mu    sync.Mutex
	asked int
	err   error
}

func (d *directory) ask(name string) (accounts.Account, error) {
	time.Sleep(time.Second) // of the test's own clock
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil {
		return accounts.Account{}, d.err
	}
	return accounts.Account{Name: name}, nil
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		c := newCache(time.Now, d.ask)
		expect := func(what string, want int, wantErr error) {
			t.Helper()
			if a, err := c.find("joe"); !errors.Is(err, wantErr) || err == nil && a.Name != "joe" || d.asked != want {
				t.Errorf("%s: %v, %v, asked %d times, want %d", what, a, err, d.asked, want)
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { _, _ = c.find("joe") }) // what they find is found again below
		}
		all.Wait()
		expect("at the same time", 1, nil)
		time.Sleep(foundFor - time.Second)
		expect("a moment later", 1, nil)
		time.Sleep(2 * time.Second)
		d.err = accounts.ErrUnknown
		expect("an old answer", 2, accounts.ErrUnknown)
		expect("nobody", 2, accounts.ErrUnknown)
		time.Sleep(unknownFor)
		d.err = errors.New("away")
		expect("trouble", 3, d.err)
		expect("trouble is not kept", 4, d.err)
		d.err = nil
		for i := range 3 * maxKept {
			c.mu.Lock()
			c.makeRoom()
			done := make(chan struct{})
			close(done)
			c.known[fmt.Sprint(i)] = &answer{done: done, until: time.Now().Add(time.Hour)}
			n := len(c.known)
			c.mu.Unlock()
			if n > maxKept {
				t.Fatalf("%d answers are kept", n)
			}
		}
	})
}
