package lspawn

import "testing"

func TestShare(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 2, 10: 8, 100: 75} {
		if got := share(limit); got != want {
			t.Errorf("share(%d) = %d, want %d", limit, got, want)
		}
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	joe, jim := identity{1, 1}, identity{2, 2}
	s := slots{limit: 4, byUser: make(map[identity]int)}
	var jobs []*job
	for i, id := range []identity{joe, joe, joe, joe, jim, jim} {
		jobs = append(jobs, &job{number: uint64(i), id: id})
		s.want(jobs[i])
	}
	numbers := func(granted []*job) (n []uint64) {
		for _, j := range granted {
			n = append(n, j.number)
		}
		return n
	}
	if got := numbers(s.grant()); len(got) != 4 || got[3] != 4 {
		t.Errorf("joe has three and jim one: got %v", got)
	}
	if got := s.grant(); got != nil {
		t.Errorf("nothing is free: got %v", numbers(got))
	}
	s.release(jobs[4])
	if got := numbers(s.grant()); len(got) != 1 || got[0] != 5 {
		t.Errorf("jim's second, since joe has his share: got %v", got)
	}
	s.release(jobs[3]) // gives up waiting
	for _, i := range []int{0, 1, 2, 5} {
		s.release(jobs[i])
		s.release(jobs[i]) // once is enough
	}
	if s.taken != 0 || len(s.byUser) != 0 || len(s.waiting) != 0 {
		t.Errorf("left: %+v", s)
	}
	s.limit = 0
	s.want(jobs[0])
	if got := s.grant(); got != nil {
		t.Errorf("0 holds all: got %v", numbers(got))
	}
}
