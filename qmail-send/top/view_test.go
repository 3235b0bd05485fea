package top

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/legible"
	"postrider/internal/wire/manage"
)

var write = flag.Bool("write", false, "write the screens that are compared with")

// TestScreens compares whole screens with those in testdata.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		model         func(*testing.T) *model
		view          view
		width, height int
	}{
		{"all-80x24", busy, view{}, 80, 24},
		{"all-40x10", busy, view{}, 40, 10},
		{"all-200x60", busy, view{}, 200, 60},
		{"all-132x43", busy, view{order: byState, filter: troubles, paused: true}, 132, 43},
		{"queue-80x24", busy, view{block: queueBlock}, 80, 24},
		{"sessions-80x24", busy, view{block: sessionBlock}, 80, 24},
		{"channels-80x24", busy, view{block: channelBlock}, 80, 24},
		{"processes-80x24", busy, view{block: processBlock}, 80, 24},
		{"destinations-80x24", busy, view{block: destinationBlock, order: byName}, 80, 24},
		{"log-80x24", busy, view{block: logBlock, filter: warnings}, 80, 24},
		{"notes-80x24", busy, view{block: noteBlock}, 80, 24},
		{"help-80x24", busy, view{block: helpBlock}, 80, 24},
		{"no-figures-80x24", withoutFigures, view{}, 80, 24},
		{"nothing-80x24", nothingRuns, view{}, 80, 24},
		{"quiet-80x24", quiet, view{}, 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := draw(c.model(t), c.view, c.width, c.height).String()
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
func withoutFigures(t *testing.T) *model {
	m := busy(t)
	m.take(reading{}, errNoFigures)
	m.past = nil
	m.takeOrders(orders{at: noon, destinations: m.orders.destinations, list: &listing{
		at: noon.Add(-20 * time.Second), phases: map[manage.Phase]int{manage.Deferred: 1_000_000, manage.HeldBack: 1, manage.InHand: 12}, total: 1_000_013,
		oldest: noon.Add(-50 * time.Hour),
	}}, nil)
	return m
}

// nothingRuns is a host on which the suite is stopped.
func nothingRuns(*testing.T) *model {
	m := newModel("mx1.example.org", noon)
	m.take(reading{}, errNoFigures)
	m.takeOrders(orders{}, fmt.Errorf("/var/qmail/queue/manage.sock: %w", manage.ErrNotRunning))
	m.logErr = errors.New("there is none")
	return m
}

// quiet is a host on which nothing happens.
func quiet(t *testing.T) *model {
	m := newModel("mx1.example.org", noon)
	for second := range 3 {
		r, err := readFigures(`postrider_start_time_seconds 1764154800
postrider_process_up{program="qmail-send"} 1
postrider_queue_messages{state="deferred"} 0
`, noon.Add(time.Duration(second-2)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		m.take(r, nil)
	}
	m.takeOrders(orders{at: noon}, nil)
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
				text := draw(m, view{block: b, scroll: 3}, width, height).String()
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
	var v view
	for _, c := range []struct {
		keys string
		want view
		quit bool
	}{
		{"5", view{block: destinationBlock}, false},
		{"5", view{}, false},
		{"1", view{block: queueBlock}, false},
		{"j", view{block: queueBlock, scroll: 1}, false},
		{"kk", view{block: queueBlock}, false},
		{"0", view{}, false},
		{"oooo", view{}, false},
		{"o", view{order: byState}, false},
		{"ff", view{order: byState, filter: warnings}, false},
		{"fp", view{order: byState, paused: true}, false},
		{" x?", view{order: byState, block: helpBlock}, false},
		{"q", view{order: byState, block: helpBlock}, true},
	} {
		quit := false
		for _, letter := range c.keys {
			quit = v.press(letter) || quit
		}
		if v != c.want || quit != c.quit {
			t.Errorf("%q: %+v, quit %v; want %+v, %v", c.keys, v, quit, c.want, c.quit)
		}
	}
	v = view{block: logBlock}
	v.move(keyHome)
	m.clamp(&v, 80, 9)
	if _, rows := m.alone(v, 80); v.scroll != len(rows)-5 {
		t.Errorf("%d lines, scrolled by %d", len(rows), v.scroll)
	}
	first := draw(m, v, 80, 9).String()
	if !strings.Contains(first, "new msg") || strings.Contains(first, "end msg") {
		t.Errorf("the beginning of the log is\n%s", first)
	}
	v.move(keyEnd)
	if v.scroll != 0 {
		t.Errorf("scrolled by %d at the end", v.scroll)
	}
	v.move(keyEscape)
	if v.block != overview {
		t.Error("Esc does not lead back")
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		full(0): "0", full(999): "999", full(1000): "1,000", full(1e6): "1,000,000", full(-1): "?",
		short(9999): "9999", short(12345): "12.3k", short(123456): "123k", short(999999): "1.0M", short(1e12): "1T",
		perSecond(0): "0", perSecond(0.001): "0.01", perSecond(9.12): "9.1", perSecond(123): "123", perSecond(12345): "12.3k",
		brief(0.002): "2ms", brief(0.4): "0.4s", brief(12): "12s", brief(300): "5m", brief(7200): "2h", brief(3 * 86400): "3d", brief(-1): "?",
		long(49 * time.Hour): "2d 1h", long(62 * time.Second): "1m 2s", long(-1): "0s",
		legible.ASCII("a\tb\x1b[2J\u202e\xff\x7f~"): "a b_[2J___~", cut("abcdef", 4): "abc>", cut("abc", 0): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for n := 0.0; n < 1e14; n = n*1.7 + 0.013 {
		for _, word := range []string{short(n), perSecond(n)} {
			if len(word) > 5 {
				t.Fatalf("%g is %q, of more than five columns", n, word)
			}
		}
		if word := brief(n / 1000); n < 1e11 && len(word) > 5 {
			t.Fatalf("%g s is %q, of more than five columns", n/1000, word)
		}
	}
}
