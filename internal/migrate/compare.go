package migrate

// Judge says what becomes of mail for an address. One may be asked any number of
// times, in one goroutine.
type Judge interface {
	Decide(address string) Outcome
}

// Difference is an address about which two systems do not agree.
type Difference struct {
	Address string  `json:"address"`
	Old     Outcome `json:"old"`
	New     Outcome `json:"new"`
}

// Compare asks both about each address once, and calls each for those about
// which they differ. It returns how many there were to ask about.
func Compare(before, after Judge, addresses []string, each func(Difference) error) (asked int, err error) {
	seen := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		if seen[a] {
			continue
		}
		seen[a] = true
		asked++
		was, is := before.Decide(a), after.Decide(a)
		if was.Equal(is) {
			continue
		}
		if err := each(Difference{a, was, is}); err != nil {
			return asked, err
		}
	}
	return asked, nil
}
