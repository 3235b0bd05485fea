package picture

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/readings"
)

var write = flag.Bool("write", false, "write the screens that are compared with")

// TestScreens compares whole screens with those in testdata.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		model         func(*testing.T) *Model
		view          View
		width, height int
	}{
		{"all-80x24", busy, View{}, 80, 24},
		{"all-40x10", busy, View{}, 40, 10},
		{"all-200x60", busy, View{}, 200, 60},
		{"all-132x43", busy, View{order: byState, filter: logtail.Troubles, Paused: true}, 132, 43},
		{"queue-80x24", busy, View{block: queueBlock}, 80, 24},
		{"sessions-80x24", busy, View{block: sessionBlock}, 80, 24},
		{"channels-80x24", busy, View{block: channelBlock}, 80, 24},
		{"processes-80x24", busy, View{block: processBlock}, 80, 24},
		{"destinations-80x24", busy, View{block: destinationBlock, order: byName}, 80, 24},
		{"log-80x24", busy, View{block: logBlock, filter: logtail.Warnings}, 80, 24},
		{"notes-80x24", busy, View{block: noteBlock}, 80, 24},
		{"help-80x24", busy, View{block: helpBlock}, 80, 24},
		{"no-figures-80x24", withoutFigures, View{}, 80, 24},
		{"nothing-80x24", nothingRuns, View{}, 80, 24},
		{"quiet-80x24", quiet, View{}, 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Draw(c.model(t), c.view, c.width, c.height).String()
			file := filepath.Join("testdata", c.name+".txt")
			if *write {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the screen is\n%swant\n%s(go test ./qmail-send/top -write, if that is meant)", got, want)
			}
		})
	}
}

// withoutFigures is a host on which qmail-metrics does not run.
func withoutFigures(t *testing.T) *Model {
	m := busy(t)
	m.Take(readings.Reading{}, ask.ErrNoFigures)
	m.past = nil
	m.TakeOrders(ask.Orders{At: noon, Destinations: m.orders.Destinations, List: &ask.Listing{
		At: noon.Add(-20 * time.Second), Phases: map[manage.Phase]int{manage.Deferred: 1_000_000, manage.HeldBack: 1, manage.InHand: 12}, Total: 1_000_013,
		Oldest: noon.Add(-50 * time.Hour),
	}}, nil)
	return m
}

// nothingRuns is a host on which the suite is stopped.
func nothingRuns(*testing.T) *Model {
	m := New("mx1.example.org", noon)
	m.Take(readings.Reading{}, ask.ErrNoFigures)
	m.TakeOrders(ask.Orders{}, fmt.Errorf("/var/qmail/queue/manage.sock: %w", manage.ErrNotRunning))
	m.logErr = errors.New("there is none")
	return m
}

// quiet is a host on which nothing happens.
func quiet(t *testing.T) *Model {
	m := New("mx1.example.org", noon)
	for second := range 3 {
		r, err := readings.Read(`postrider_start_time_seconds 1764154800
postrider_process_up{program="qmail-send"} 1
postrider_queue_messages{state="deferred"} 0
`, noon.Add(time.Duration(second-2)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		m.Take(r, nil)
	}
	m.TakeOrders(ask.Orders{At: noon}, nil)
	m.logErr = nil
	return m
}

// TestEverySize: any size has a screen of that size, of printable characters.
func TestEverySize(t *testing.T) {
	t.Parallel()
	m := busy(t)
	for width := 1; width < 210; width += 7 {
		for height := 1; height < 70; height += 3 {
			for b := overview; b <= helpBlock; b++ {
				text := Draw(m, View{block: b, scroll: 3}, width, height).String()
				lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
				if len(lines) != height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if n := len([]rune(line)); n > width {
						t.Fatalf("%dx%d: a line of %d columns", width, height, n)
					}
				}
				if i := strings.IndexFunc(text, func(c rune) bool { return (c < ' ' || c > '~') && c != '─' && c != '\n' }); i >= 0 {
					t.Fatalf("%dx%d has %q", width, height, text[i:])
				}
			}
		}
	}
}

// TestKeys: what keys change, and that scrolling ends where the lines end.
func TestKeys(t *testing.T) {
	t.Parallel()
	m := busy(t)
	var v View
	for _, c := range []struct {
		keys string
		want View
		quit bool
	}{
		{"5", View{block: destinationBlock}, false},
		{"5", View{}, false},
		{"1", View{block: queueBlock}, false},
		{"j", View{block: queueBlock, scroll: 1}, false},
		{"kk", View{block: queueBlock}, false},
		{"0", View{}, false},
		{"oooo", View{}, false},
		{"o", View{order: byState}, false},
		{"ff", View{order: byState, filter: logtail.Warnings}, false},
		{"fp", View{order: byState, Paused: true}, false},
		{" x?", View{order: byState, block: helpBlock}, false},
		{"q", View{order: byState, block: helpBlock}, true},
	} {
		quit := false
		for _, letter := range c.keys {
			quit = v.Press(letter) || quit
		}
		if v != c.want || quit != c.quit {
			t.Errorf("%q: %+v, quit %v; want %+v, %v", c.keys, v, quit, c.want, c.quit)
		}
	}
	v = View{block: logBlock}
	v.Move(KeyHome)
	m.Clamp(&v, 80, 9)
	if _, rows := m.alone(v, 80); v.scroll != len(rows)-5 {
		t.Errorf("%d lines, scrolled by %d", len(rows), v.scroll)
	}
	first := Draw(m, v, 80, 9).String()
	if !strings.Contains(first, "new msg") || strings.Contains(first, "end msg") {
		t.Errorf("the beginning of the log is\n%s", first)
	}
	v.Move(KeyEnd)
	if v.scroll != 0 {
		t.Errorf("scrolled by %d at the end", v.scroll)
	}
	v.Move(KeyEscape)
	if v.block != overview {
		t.Error("Esc does not lead back")
	}
}
