package mailbox

import (
	"slices"
	"testing"
)

// What is put is taken in order, also behind the end; what is discarded is not.
func TestBox(t *testing.T) {
	t.Parallel()
	b := New[int]()
	b.Put(1, 2, 3)
	if got, ok := b.Take(); got != 1 || !ok {
		t.Errorf("the first is %d, %v", got, ok)
	}
	b.Close()
	if got := b.TakeAll(); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("the rest is %v", got)
	}
	if got, ok := b.Take(); ok || b.TakeAll() != nil {
		t.Errorf("behind the end is %d", got)
	}
	b = New[int]()
	b.Put(4, 5)
	if got := b.Discard(); !slices.Equal(got, []int{4, 5}) {
		t.Errorf("discarded are %v", got)
	}
	if got, ok := b.Take(); ok {
		t.Errorf("behind the end is %d", got)
	}
}

// Those who wait take what comes, each once, and end with the box.
func TestBoxWakes(t *testing.T) {
	t.Parallel()
	b := New[int]()
	taken := make(chan int, 100)
	ended := make(chan bool)
	for range 4 {
		go func() {
			for {
				n, ok := b.Take()
				if !ok {
					ended <- true
					return
				}
				taken <- n
			}
		}()
	}
	for i := range 10 {
		b.Put(10*i, 10*i+1, 10*i+2, 10*i+3, 10*i+4)
		b.Put(10*i + 5)
	}
	var got []int
	for range 60 {
		got = append(got, <-taken)
	}
	b.Close()
	for range 4 {
		<-ended
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 60 || len(taken) != 0 {
		t.Errorf("%v were taken, and %d more", got, len(taken))
	}
}
