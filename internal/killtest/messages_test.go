package killtest

import (
	"fmt"
	"math/rand/v2"
)

// kinds are the recipients of each way of delivery, and how often one is
// chosen. A message has a recipient once.
var kinds = []struct {
	name      string
	weight    int
	addresses []string
}{
	{"Maildir", 60, numbered(600, func(n int) string { return fmt.Sprintf("%s-%d@%s", boxes[n%len(boxes)], n, here) })},
	{"remote", 28, numbered(300, func(n int) string { return fmt.Sprintf("r-%d@%s", n, far) })},
	{"mbox", 3, numbered(50, func(n int) string { return fmt.Sprintf("box-%d@%s", n, here) })},
	{"program", 2, numbered(50, func(n int) string { return fmt.Sprintf("prog-%d@%s", n, here) })},
	{"forward", 4, forwarded},
	{"bounce", 3, numbered(50, func(n int) string { return fmt.Sprintf("void-%d@%s", n, here) })},
}

var forwarded = numbered(50, func(n int) string { return fmt.Sprintf("fwd-f%d@%s", n, here) })

func numbered(count int, address func(int) string) []string {
	list := make([]string, count)
	for n := range list {
		list[n] = address(n)
	}
	return list
}

// recipients chooses how many and who: mostly few, sometimes hundreds, so that
// a kill meets every stage of both.
func recipients(r *rand.Rand) []string {
	count := 1 + r.IntN(3)
	switch p := r.IntN(100); {
	case p < 10:
		count = 60 + r.IntN(140)
	case p < 60:
		count = 4 + r.IntN(30)
	}
	chosen := make(map[string]bool)
	var list []string
	for len(list) < count {
		a := recipient(r)
		if !chosen[a] {
			chosen[a] = true
			list = append(list, a)
		}
	}
	return list
}

func recipient(r *rand.Rand) string {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	p := r.IntN(total)
	for _, k := range kinds {
		if p -= k.weight; p < 0 {
			return k.addresses[r.IntN(len(k.addresses))]
		}
	}
	panic("unreachable")
}

// size of a message: on both sides of what goes inline in a packet and of the
// 64 KiB of the queue.
func size(r *rand.Rand, recipients int) int {
	if recipients > 40 {
		return 600
	}
	return []int{600, 600, 4096, 4096, 20_000, 80_000}[r.IntN(6)]
}
