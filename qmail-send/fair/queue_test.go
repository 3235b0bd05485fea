package fair

import "testing"

// Senders have turns by weight; bulk has an eighth of the same sender's rest.
func TestTurnsByWeight(t *testing.T) {
	t.Parallel()
	var q Queue[int]
	for i := range 900 {
		q.Push(i*3, 1, usualWeight, 0)
		q.Push(i*3+1, 2, 2*usualWeight, 0)
		q.Push(i*3+2, 3, 1, 0)
	}
	var got [3]int
	for range 500 {
		item, ok := q.Pop(nil)
		if !ok {
			t.Fatal("it is empty")
		}
		got[item%3]++
	}
	if got[0] < 155 || got[0] > 165 || got[1] < 315 || got[1] > 325 || got[2] < 18 || got[2] > 22 {
		t.Errorf("turns %v, want 160, 320 and 20", got)
	}
}

// Within a sender, destinations have turns.
func TestTurnsByDestination(t *testing.T) {
	t.Parallel()
	var q Queue[int]
	for i := range 100 {
		q.Push(i, 1, 1, 7)
	}
	q.Push(1000, 1, 1, 8)
	for range 2 {
		if item, _ := q.Pop(nil); item == 1000 {
			return
		}
	}
	t.Error("the other destination has none of two turns")
}

// Who may not have a turn keeps it, and nothing is lost.
func TestTurnsOfOthers(t *testing.T) {
	t.Parallel()
	var q Queue[int]
	for i := range 10 {
		q.Push(i, Flow(i%2), 1, 0)
	}
	q.Remove(3, 1)
	q.Remove(3, 1)
	q.Remove(3, 9)
	var got []int
	for range 5 {
		item, ok := q.Pop(func(f Flow) bool { return f == 0 })
		if !ok || item%2 != 0 {
			t.Fatalf("%d, %v", item, ok)
		}
		got = append(got, item)
	}
	if _, ok := q.Pop(func(f Flow) bool { return f == 0 }); ok || q.Len() != 4 {
		t.Errorf("%d are left after %v", q.Len(), got)
	}
	for q.Len() > 0 {
		q.Pop(nil)
	}
	if len(q.order) != 0 || len(q.flows) > 2 {
		t.Errorf("%d, %d senders of nothing", len(q.order), len(q.flows))
	}
}
