package powercut

import (
	"maps"
	"slices"

	"postrider/internal/ledger"
)

// Orders of operators (ledger.Order) name the entry, and all recipients or one.
// An order follows the answer to the one before about the same entry: so the
// n-th answer about an entry is that to the n-th order, and of those that are
// not answered only the next one may have been carried out.

// answered counts the answers about each entry.
func answered(marks []Mark) map[string]int {
	n := make(map[string]int)
	for _, m := range marks {
		if m.Kind == Obeyed {
			n[m.ID]++
		}
	}
	return n
}

// about are the orders about an entry.
func (c Case) about(entry string) (list []ledger.Order) {
	for _, o := range c.Orders {
		if o.QueueID == entry {
			list = append(list, o)
		}
	}
	return list
}

// deleted are the pairs that orders may have taken out of the queue, when these
// marks were set.
func (k *Checker) deleted(marks []Mark) map[Pair]bool {
	gone := make(map[Pair]bool)
	for _, p := range k.c.Deleted {
		gone[p] = true
	}
	n := answered(marks)
	for entry, recipients := range k.ordered {
		list := k.c.about(entry)
		for _, o := range list[:min(len(list), n[entry]+1)] {
			if o.Kind != ledger.Delete {
				continue
			}
			for r, pairs := range recipients {
				if len(o.Recipients) == 0 || o.Recipients[0] == r {
					for _, p := range pairs {
						gone[p] = true
					}
				}
			}
		}
	}
	return gone
}

// orderedPairs are the pairs of each recipient of the entries that orders are
// about.
func (k *Checker) orderedPairs() map[string]map[string][]Pair {
	found := make(map[string]map[string][]Pair)
	for _, o := range k.c.Orders {
		if found[o.QueueID] != nil {
			continue
		}
		if k.t.Entries[o.QueueID] == 0 {
			if m := k.sent[o.ID]; m != nil { // of no trace: it is as it was sent
				found[o.QueueID] = make(map[string][]Pair)
				for _, r := range m.Recipients {
					found[o.QueueID][r] = []Pair{{o.ID, r}}
				}
			}
			continue
		}
		e, text := k.queued(o.QueueID)
		found[o.QueueID] = make(map[string][]Pair)
		for _, r := range e.recipients {
			found[o.QueueID][r] = k.pairs(text.id, r)
		}
	}
	return found
}

// obeyed looks whether an entry that is there knows of the orders that were
// answered.
func (f *finding) obeyed(id string, e *entry, done *progress) {
	list := f.k.c.about(id)
	for _, o := range list[:min(len(list), f.answers[id])] {
		if o.Kind == ledger.Delete && len(o.Recipients) == 0 {
			f.breaks(Forgotten, id, "is there again, and that it is deleted was answered")
			return
		}
		index := -1
		if len(o.Recipients) > 0 {
			index = slices.Index(e.recipients, o.Recipients[0])
		}
		if done == nil || !done.obeys(o.Kind, index, len(e.recipients)) {
			f.breaks(Forgotten, id, "is there, and does not know of an order that was answered: %s %v", o.Kind, o.Recipients)
			return
		}
	}
}

// obeys reports whether the file says that an order was given. index is that of
// its recipient, -1 for all.
func (p *progress) obeys(kind ledger.OrderKind, index, recipients int) bool {
	switch kind {
	case ledger.Hold:
		return p.orders["H"]
	case ledger.Release:
		return p.orders["R"]
	case ledger.Readdress:
		return p.changed["A"][index]
	case ledger.Reroute:
		return p.changed["V"][index]
	}
	settled := append(p.settled(), slices.Collect(maps.Keys(p.owed))...)
	if index >= 0 {
		return slices.Contains(settled, index)
	}
	for i := range recipients {
		if !slices.Contains(settled, i) {
			return false
		}
	}
	return true
}
