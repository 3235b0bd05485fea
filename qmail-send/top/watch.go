package top

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"postrider/internal/clock"
	"postrider/internal/queuedir"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/picture"
)

const (
	// each is how often the screen is drawn, and figures and log are looked at.
	each = time.Second
	// shapingPause is how many times as long as an answer about destinations took
	// qmail-send is left alone; listPause is the same for lists of the queue.
	shapingPause, listPause = 50, 300
	// minListPause is between two lists at least.
	minListPause = 10 * time.Second
	maxPause     = time.Hour
)

// sources are what is asked and read, again and again.
type sources struct {
	clock   clock.Clock
	figures string // the socket of qmail-metrics
	layout  queuedir.Layout
	logs    []string
	stream  *os.File // has the log, if logs are none
	// unknown says that there are no figures, so that qmail-send has to be asked
	// for them.
	unknown atomic.Bool
}

// update is something new, for the model.
type update func(*picture.Model)

// watch asks until stopped is closed, and sends what it hears. While nobody takes
// an update, nothing more is asked of the one that it is from.
func (s *sources) watch(stopped <-chan struct{}) <-chan update {
	updates := make(chan update)
	send := func(u update) bool {
		select {
		case updates <- u:
			return true
		case <-stopped:
			return false
		}
	}
	wait := func(d time.Duration) bool {
		c, stop := s.clock.At(s.clock.Now().Add(d))
		defer stop()
		select {
		case <-c:
			return true
		case <-stopped:
			return false
		}
	}
	go s.watchFigures(send, wait)
	go s.watchOrders(send, wait)
	go s.watchLog(send, wait)
	return updates
}

func (s *sources) watchFigures(send func(update) bool, wait func(time.Duration) bool) {
	for send(s.askFigures()) && wait(each) {
	}
}

func (s *sources) askFigures() update {
	r, err := ask.Figures(s.figures, s.clock.Now)
	s.unknown.Store(err != nil)
	return func(m *picture.Model) { m.Take(r, err) }
}

func (s *sources) watchOrders(send func(update) bool, wait func(time.Duration) bool) {
	a := &ask.Asker{Layout: s.layout, Now: s.clock.Now}
	defer a.Close()
	var nextList time.Time
	for {
		count := s.unknown.Load() && !s.clock.Now().Before(nextList)
		o, took, err := a.Ask(count)
		pause, untilList := pauses(took)
		if count {
			nextList = s.clock.Now().Add(untilList)
		}
		if !send(func(m *picture.Model) { m.TakeOrders(o, err) }) || !wait(pause) {
			return
		}
	}
}

// pauses are how long qmail-send is left alone after answers that took so long,
// before it is asked for destinations, and for a list of the queue.
func pauses(t ask.Times) (destinations, list time.Duration) {
	return max(each, min(shapingPause*t.Destinations, maxPause)), max(minListPause, min(listPause*t.List, maxPause))
}

func (s *sources) watchLog(send func(update) bool, wait func(time.Duration) bool) {
	if s.stream != nil {
		s.watchStream(send)
		return
	}
	t := &logtail.Tail{Names: s.logs}
	defer t.Close()
	for send(s.askLog(t)) && wait(each) {
	}
}

// askLog reads what has come to the log. What it had at first is of any age.
func (s *sources) askLog(t *logtail.Tail) update {
	old := t.Path == ""
	var lines []string
	err := t.Look(func(line string) { lines = append(lines, line) })
	if errors.Is(err, fs.ErrNotExist) && len(t.Names) > 1 {
		err = fmt.Errorf("there is none of %s; name one with -l", strings.Join(t.Names, ", "))
	}
	now := s.clock.Now()
	return func(m *picture.Model) {
		m.Log.Live = !old
		m.TakeLines(lines, now, err)
	}
}

// errStreamEnded says that no more log comes.
var errStreamEnded = errors.New("standard input has ended")

// watchStream reads the log that somebody pipes in.
func (s *sources) watchStream(send func(update) bool) {
	var t logtail.Tail
	buf := make([]byte, 32<<10)
	for {
		n, err := s.stream.Read(buf)
		if errors.Is(err, io.EOF) {
			err = errStreamEnded
		}
		var lines []string
		t.Take(buf[:n], func(line string) { lines = append(lines, line) })
		now := s.clock.Now()
		if !send(func(m *picture.Model) { m.TakeLines(lines, now, err) }) || err != nil {
			return
		}
	}
}
