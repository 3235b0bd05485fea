package lspawn

// slots counts who runs programs, forwards and mbox deliveries.
type slots struct {
	limit   int // concurrencylocal; 0 holds all
	taken   int
	byUser  map[identity]int
	waiting []*job // in the order they asked
}

// share is how many of limit one user may have: a quarter stays for others,
// so that a user whose programs hang does not stop everybody's.
func share(limit int) int {
	if limit <= 1 {
		return limit
	}
	return limit - max(1, limit/4)
}

// want makes j wait for a slot.
func (s *slots) want(j *job) {
	j.slot = slotWanted
	s.waiting = append(s.waiting, j)
}

// grant gives out what is free and returns who got it, first come first
// served, but for users who have their share.
func (s *slots) grant() []*job {
	var granted []*job
	kept := s.waiting[:0]
	for _, j := range s.waiting {
		if s.taken < s.limit && s.byUser[j.id] < share(s.limit) {
			s.taken++
			s.byUser[j.id]++
			j.slot = slotHeld
			granted = append(granted, j)
		} else {
			kept = append(kept, j)
		}
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
	return granted
}

// release takes back what j has or wants.
func (s *slots) release(j *job) {
	switch j.slot {
	case slotHeld:
		s.taken--
		if s.byUser[j.id]--; s.byUser[j.id] == 0 {
			delete(s.byUser, j.id)
		}
	case slotWanted:
		for i, other := range s.waiting {
			if other == j {
				s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
				break
			}
		}
	}
	j.slot = slotNone
}
