package picture

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/readings"
)

// FuzzScreen: whatever figures, qmail-send and the log say, what gets onto the
// screen is printable, and what is kept is bounded.
func FuzzScreen(f *testing.F) {
	f.Add(figuresAt(1), figuresAt(2), "mx.example", "421 later", "delivery 1: deferral: x/", 80, 24)
	f.Add("postrider_queue_messages{state=\"a\\nb\"} -1", "postrider_process_up{program=\"\"} NaN\npostrider_smtp_sessions +Inf\n", "\x1b[2J", "\xff", `{"event":"warning","text":"\u009b"}`, 40, 10)
	f.Fuzz(func(t *testing.T, first, second, name, reason, line string, width, height int) {
		m := New("host", noon)
		for i, text := range []string{first, second} {
			r, err := readings.Read(text, noon.Add(time.Duration(i)*time.Second))
			m.Take(r, err)
		}
		m.TakeOrders(ask.Orders{At: noon, Destinations: []manage.Destination{{Name: name, Standing: manage.Down, Reason: reason, Since: -1, Next: 1 << 62}}}, nil)
		for _, l := range strings.Split(line, "\n") {
			m.Log.Take(l, noon)
		}
		width, height = max(1, min(width, 250)), max(1, min(height, 100))
		for b := overview; b <= helpBlock; b++ {
			text := Draw(m, View{block: b}, width, height).String()
			if i := strings.IndexFunc(text, func(c rune) bool { return (c < ' ' || c > '~') && c != '─' && c != '\n' }); i >= 0 {
				t.Fatalf("the screen has %q", text[i:])
			}
		}
		for _, e := range m.Log.Events[logtail.EveryLine] {
			if len(e.Words) > logtail.MaxWords {
				t.Fatalf("%d bytes of a line are kept", len(e.Words))
			}
		}
	})
}
