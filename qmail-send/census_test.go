package qmailsend

import (
	"testing"
	"time"

	"postrider/internal/figures"
	"postrider/internal/queuedir"
)

// countIn makes s count, and returns what reads that.
func countIn(t testing.TB, s *scheduler) (read func() map[string]float64) {
	t.Helper()
	open := func(number int, program string) (figures.Area, *figures.Counts) {
		f, err := figures.NewArea(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		c := &figures.Counts{}
		if program == "qmail-send" {
			c = &s.counts
		}
		if err := c.Use(figures.Layout(), f); err != nil {
			t.Fatal(err)
		}
		only, err := figures.ReadOnly(f)
		if err != nil {
			t.Fatal(err)
		}
		a, err := figures.OpenArea(number, program, only)
		if err != nil {
			t.Fatal(err)
		}
		return a, c
	}
	owner, start := open(0, "qmail-start")
	own, _ := open(1, "qmail-send")
	start.Live(1, true)
	return func() map[string]float64 {
		told := make(map[string]float64)
		for _, family := range figures.Read(owner, []figures.Area{own}) {
			for _, sample := range family.Samples {
				name := family.Name
				for _, value := range sample.Labels {
					name += " " + value
				}
				told[name] = sample.Value
			}
		}
		return told
	}
}

// TestCensus counts a queue of each state and age, some in each turn, and is
// exact when nothing changes meanwhile.
func TestCensus(t *testing.T) {
	t.Parallel()
	set, err := readSettings(newHost(t, nil).control)
	if err != nil {
		t.Fatal(err)
	}
	s := newSimulation(t, 1, set).s
	read := countIn(t, s)
	s.beginCensus()
	for s.census.underWay() {
		s.countSome(s.now())
	}
	if told := read(); told["postrider_queue_messages new"] != 0 || told["postrider_queue_oldest_seconds"] != 0 {
		t.Errorf("of an empty queue: %v", told)
	}
	now := s.now()
	const each = 1500
	var last queuedir.ID
	for i := range 7 * each {
		last = queuedir.NewID(time.Unix(int64(i), 0), 0, 0)
		age := []time.Duration{time.Minute, 30 * time.Minute, 2 * time.Hour, 10 * time.Hour, 2 * 24 * time.Hour, 100 * time.Hour, 200 * time.Hour}[i%7]
		m := newMessage(last, now-moment(age), []flags{0, attempted, 0, held, attempted, removing, quarantined}[i%7])
		switch i % 7 {
		case 2:
			m.active = &active{}
		case 4:
			m.due[settling] = now
		}
		s.messages[last] = m
	}
	s.beginCensus()
	turns := 0
	for ; s.census.underWay(); turns++ {
		if s.beginCensus(); turns > 1000 { // one at a time
			t.Fatal("a census begins while another is under way")
		}
		s.countSome(now)
	}
	if turns != 7*each/countAtOnce+1 {
		t.Errorf("%d turns", turns)
	}
	told := read()
	for _, state := range figures.States {
		if n := told["postrider_queue_messages "+state]; n != each {
			t.Errorf("%v messages are %s, want %d", n, state, each)
		}
	}
	for i, age := range figures.Ages {
		want := float64(each)
		if i == len(figures.Ages)-1 {
			want *= 2
		}
		if n := told["postrider_queue_age_messages "+age]; n != want {
			t.Errorf("%v messages are %s, want %v", n, age, want)
		}
	}
	if got := time.Duration(told["postrider_queue_oldest_seconds"]) * time.Second; got != 200*time.Hour {
		t.Errorf("the oldest is %v old", got)
	}
	s.beginCensus()
	s.countSome(now)
	s.census.stop() // in the middle: nothing is left of it
	if s.census.underWay() {
		t.Error("it goes on")
	}
}
