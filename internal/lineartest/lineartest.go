// Package lineartest shows of a parser that its time and memory grow with its
// input and no faster, whatever that is (R42, R43): the worst inputs known for
// it are read at three lengths, up to the largest that it gets.
//
// Who may import it: tests. It imports nothing of ours.
//
// What is measured is the processor time of one thread, the best of several
// runs: other work on the machine makes that twice as much, and not twenty times.
// What is compared is the time for an octet, of an input and of one of a 16th of
// its length. In linear time the two are the same; in quadratic time the first is
// 16 times the second. What is allocated is counted, for the whole process: a
// test that calls Check must not be parallel.
package lineartest

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Size is how much a parser gets that has no smaller limit (R43).
const Size = 4 << 20

const (
	// steep is how many times longer one length is than the one before.
	steep = 16
	// grows is how many times as long an octet may take in a longer input: there
	// are caches, and tables that are larger than them.
	grows = 6
	// second is how many nanoseconds an octet takes where 4 MiB take a second,
	// and slowest what it may take here: a machine may be slow and busy.
	second, slowest = 1e9 / Size, 20 * second
	// quick is what needs no comparison: a quarter of that second.
	quick = second / 4
	// enough is how many octets must have been read for their time to count.
	enough = 128 << 10
	// widest is how many octets may be allocated for one: a line of two octets
	// may become an entry of a table.
	widest = 512
	// early is how many times that ends it before the longest input: tables and
	// buffers have a first size, and what is quadratic would take all there is.
	early = 10
	// constant is what may be allocated besides, for an input.
	constant = 16 << 10
	// patience is for how long what seems too slow is measured again, in
	// nanoseconds of a processor.
	patience = 1e9
	// searched is how long inputs of Around are.
	searched = 256 << 10
)

// An Input is of any length: Unit as often as there is room for it, and then
// Close as often.
type Input struct {
	Head, Unit, Close, Tail string
	most                    int // its length, if that is not the parser's limit
}

// Units are inputs that have nothing but one thing again and again.
func Units(units ...string) (all []Input) {
	for _, unit := range units {
		all = append(all, Input{Unit: unit})
	}
	return all
}

// Around looks for bad inputs near what is well formed: each text again and
// again; and once, with each octet that is in it many times at that place.
func Around(texts ...string) (all []Input) {
	for _, text := range texts {
		all = append(all, Input{Unit: text, most: searched})
		for i := range len(text) {
			if strings.IndexByte(text, text[i]) == i {
				all = append(all, Input{Head: text[:i], Unit: text[i : i+1], Tail: text[i:], most: searched})
			}
		}
	}
	return all
}

// Text is the input with about so many octets, and no more if a unit fits in.
func (in Input) Text(length int) string {
	n := max(1, (length-len(in.Head)-len(in.Tail))/len(in.Unit+in.Close))
	return in.Head + strings.Repeat(in.Unit, n) + strings.Repeat(in.Close, n) + in.Tail
}

// Check has parse read each input with up to limit octets. It logs what a table
// in docs/reliability.md has.
func Check(t *testing.T, limit int, parse func(text string), inputs ...[]Input) {
	t.Helper()
	var slowest, widest cost
	count, exponent := 0, 1.0
	for _, some := range inputs {
		for _, in := range some {
			c, e, fault := check(in, limit, parse)
			c.of = in.Head + in.Unit + in.Close + in.Tail
			if fault != "" {
				t.Errorf("%.60q: %s", c.of, fault)
			}
			count++
			if c.time > quick/5 { // of what is quicker the clock says nothing
				exponent = max(exponent, e)
			}
			slowest, widest = dearer(slowest, c, c.time > slowest.time), dearer(widest, c, c.memory > widest.memory)
		}
	}
	t.Logf("linear: %d inputs, up to %d octets; 4 MiB in %.0f ms (%.40q); exponent %.2f; memory %.1f times (%.40q)",
		count, limit, slowest.time*Size/1e6, slowest.of, exponent, widest.memory, widest.of)
}

// A cost is what reading an octet of an input takes.
type cost struct {
	of     string
	time   float64 // nanoseconds of a processor
	memory float64 // octets allocated
}

func dearer(a, b cost, is bool) cost {
	if is {
		return b
	}
	return a
}

// check returns what the longest input costs, the power of the length that its
// time grows with, and what is wrong with that.
func check(in Input, limit int, parse func(string)) (longest cost, exponent float64, fault string) {
	if in.most > 0 {
		limit = min(limit, in.most)
	}
	var short cost
	for _, length := range []int{limit / steep / steep, limit / steep, limit} {
		text := in.Text(length)
		tooSlow := func() bool {
			return longest.time > slowest || short.time > 0 && longest.time > max(quick, grows*short.time)
		}
		longest = measure(text, parse)
		tooWide := longest.memory > widest && (length == limit || longest.memory > early*widest)
		for spent := 0.0; tooSlow() && !tooWide && spent < patience; {
			again := measure(text, parse)
			longest.time = min(longest.time, again.time)
			spent += again.time * max(enough, float64(len(text)))
		}
		switch {
		case tooWide:
			return longest, 2, fmt.Sprintf("%d octets: %.0f are allocated for each", len(text), longest.memory)
		case tooSlow():
			return longest, 2, fmt.Sprintf("%d octets take %.0f ns each, after %.0f in a shorter one", len(text), longest.time, short.time)
		}
		if length < limit {
			short = longest
		}
	}
	return longest, 1 + math.Log(longest.time/short.time)/math.Log(steep), ""
}

// measure reads a text as often as a time needs to mean something.
func measure(text string, parse func(string)) cost {
	// The clock is the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	times := max(1, enough/len(text))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime()
	for range times {
		parse(text)
	}
	took := processorTime() - start
	runtime.ReadMemStats(&after)
	octets := float64(times * len(text))
	allocated := max(0, float64(after.TotalAlloc-before.TotalAlloc)-float64(times*constant))
	return cost{time: float64(took) / octets, memory: allocated / octets}
}

// processorTime is what this thread has had, in nanoseconds.
func processorTime() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(err) // every Linux has it
	}
	return now.Nano()
}
