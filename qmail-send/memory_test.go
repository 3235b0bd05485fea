package qmailsend

import (
	"runtime"
	"testing"
	"time"

	"postrider/internal/queuedir"
)

// maxMessageBytes is what a message that waits may cost (invariant 4).
const maxMessageBytes = 300

// heapHeld returns the heap after garbage collection.
func heapHeld() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A message that waits costs under 300 bytes: one that a scan found, for a retry
// on both channels or for a first attempt, and one that was announced, of many
// senders. It does not run beside other tests, whose heap would count.
func TestMemoryPerMessage(t *testing.T) {
	for _, c := range waitingCases {
		each := bytesEach(t, c, 100_000)
		t.Logf("%s: %.0f bytes a message", c.name, each)
		if each >= maxMessageBytes {
			t.Errorf("%s: %.0f bytes a message", c.name, each)
		}
	}
}

// BenchmarkMemoryPerMessage is the same with a million messages.
func BenchmarkMemoryPerMessage(b *testing.B) {
	for _, c := range waitingCases {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(bytesEach(b, c, 1_000_000), "bytes/message")
			}
		})
	}
}

type waitingCase struct {
	name    string
	hasInfo bool
	senders int // of first attempts; 0: they are not known yet
	parked  bool
}

var waitingCases = []waitingCase{
	{"retries", true, 0, false}, {"first attempts after a restart", false, 0, false}, {"first attempts of 1000 senders", false, 1000, false},
	{"that wait for their destinations", false, 1000, true},
}

func bytesEach(t testing.TB, c waitingCase, n int) float64 {
	set, err := readSettings(newHost(t, nil).control)
	if err != nil {
		t.Fatal(err)
	}
	m := newSimulation(t, 1, set)
	before := heapHeld()
	for i := range n {
		id := queuedir.NewID(testStart.Add(time.Duration(i)*time.Microsecond), i%1000, i)
		if c.senders == 0 {
			m.s.takeFound(found{id: id, hasInfo: c.hasInfo, due: testStart.Add(time.Hour)})
			continue
		}
		w := newMessage(id, m.s.birth(id), justWritten)
		w.flow, w.weight = set.senders.Flow(headOf(t, "", "", uint32(i%c.senders), false))
		w.lane = uint32(i % 50)
		m.s.messages[id] = w
		w.due[remote] = w.birth
		if c.parked {
			m.s.park(w, m.s.destinations.of(w.lane+1, 0), firsts, m.s.now(), never)
			continue
		}
		m.s.waiting[remote].enqueue(w)
	}
	each := float64(heapHeld()-before) / float64(n)
	if len(m.s.messages) != n {
		t.Fatalf("%d messages are known of %d", len(m.s.messages), n)
	}
	runtime.KeepAlive(m)
	return each
}
