package logread

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	id    = "17641515001234560001"
	other = "17641515001234560002"
)

// Lines as programs log them, and what they say: the event, then the facts.
var lines = []struct{ line, want string }{
	{"new msg " + id, "qmail-send new msg=" + id},
	{"info msg " + id + ": bytes 1300 from <a@b.example> qp " + id + " uid 401", "qmail-send info msg=" + id + " bytes=1300 from=a@b.example qp=" + id + " uid=401"},
	{"info msg " + id + ": bytes 1 from <> qp " + id + " uid 0", "qmail-send info msg=" + id + " bytes=1 from= qp=" + id + " uid=0"},
	{"info msg " + id + ": bytes 1 from <a>b<c> qp " + id + " uid 0", "qmail-send info msg=" + id + " bytes=1 from=a>b<c qp=" + id + " uid=0"},
	{"starting delivery 7: msg " + id + " to local ann@ours.example", "qmail-send starting delivery delivery=7 msg=" + id + " channel=local recipient=ann@ours.example"},
	{"delivery 7: success: did_1+0+0/", "qmail-send success delivery=7 said=did_1+0+0/"},
	{"delivery 7: failure: ", "qmail-send failure delivery=7 said="},
	{"delivery 7: deferral: no:_not_yet/", "qmail-send deferral delivery=7 said=no:_not_yet/"},
	{"delivery 7: report mangled, will defer", "qmail-send mangled delivery=7"},
	{"bounce msg " + id + " qp " + other, "qmail-send bounce msg=" + id + " qp=" + other},
	{"delay msg " + id + " qp " + other, "qmail-send delay msg=" + id + " qp=" + other},
	{"success msg " + id + " qp " + other, "qmail-send success notice msg=" + id + " qp=" + other},
	{"double bounce: discarding bounce/" + id, "qmail-send double bounce msg=" + id},
	{"triple bounce: discarding bounce/" + id, "qmail-send triple bounce msg=" + id},
	{"end msg " + id, "qmail-send end msg=" + id},
	{"status: exiting", "qmail-send exiting"},
	{"status: local 1/10 remote 2/255", "qmail-send status local=1 locallimit=10 remote=2 remotelimit=255"},
	{"status: local 1/10 remote 2/255 exitasap", "qmail-send status local=1 locallimit=10 remote=2 remotelimit=255"},
	{"order of uid 0: hold msg " + id, "qmail-send order uid=0 order=hold msg=" + id},
	{"order of uid 0: change a recipient of 12 messages", "qmail-send order uid=0 order=change a recipient of messages=12"},
	{"alert: message " + id + " is held: why", "qmail-send alert msg=" + id + " | message " + id + " is held: why"},
	{"warning: unable to utime queue/info/3/" + id + "; message will be retried too soon",
		"qmail-send warning msg=" + id + " | unable to utime queue/info/3/" + id + "; message will be retried too soon"},
	{"qmail-smtpd: connect session=3 ip=192.0.2.7 port=4444 to=192.0.2.1:25", "qmail-smtpd connect session=3 ip=192.0.2.7 port=4444 to=192.0.2.1:25"},
	{"qmail-smtpd: auth failed ip=192.0.2.7 user=joe method=plain why=wrong", "qmail-smtpd auth failed ip=192.0.2.7 user=joe method=plain why=wrong"},
	{"qmail-smtpd: refused session=3 command=RCPT_TO:<a=b@c> text=", "qmail-smtpd refused session=3 command=RCPT_TO:<a=b@c> text="},
	{"qmail-smtpd: accepted session=3 id=" + id + " id=" + other, "qmail-smtpd accepted session=3 id=" + id},
	{"qmail-smtpd: warning: accept: too many", "qmail-smtpd warning | accept: too many"},
	{"qmail-start: listening on 0.0.0.0:25", "qmail-start note | listening on 0.0.0.0:25"},
	{"qmail-start: odd a=b and words", "qmail-start note | odd a=b and words"},
	{"qmail-smtpd: a=b", "qmail-smtpd note | a=b"},
	{"qmail-send: exited", " note | qmail-send: exited"},
	{"qmail-Xy: a=b", " note | qmail-Xy: a=b"},
	{"delivery 7: success: two words", " note | delivery 7: success: two words"},
	{"", " note | "},
}

func (l Line) show() string {
	b := &strings.Builder{}
	b.WriteString(l.Program + " " + l.Event)
	for _, f := range l.Facts {
		b.WriteString(" " + f.Name + "=" + f.Value)
	}
	if l.Text != "" || l.Event == "note" {
		b.WriteString(" | " + l.Text)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range lines {
		if got := Parse(tc.line).show(); got != tc.want {
			t.Errorf("%q:\n%s\nwant\n%s", tc.line, got, tc.want)
		}
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)
	moment := time.Date(2026, 11, 2, 0, 30, 28, 42000, time.UTC)
	const text = "qmail-smtpd: connect ip=192.0.2.7"
	for _, tc := range []struct {
		line string
		at   time.Time
		rest string
	}{
		{"@400000006ae7d7be0000a410 " + text, time.Unix(0x6ae7d7be-10, 42000), text},
		{moment.Local().Format("2006-01-02 15:04:05.000000000") + " " + text, moment, text},
		{moment.Local().Format("2006-01-02 15:04:05"), moment.Truncate(time.Second), ""},
		{"Jan  1 08:00:00 mx1 qmail: " + text, time.Date(2026, 1, 1, 8, 0, 0, 0, time.Local), text},
		{"Dec 31 23:59:59 mx1 qmail[77]: " + text, time.Date(2025, 12, 31, 23, 59, 59, 0, time.Local), text},
		{"2026-11-02T00:30:28.000042+00:00 mx1 qmail: " + text, moment, text},
		{"2026-11-02T02:30:28.000042+0200 mx1 qmail-start[77]: " + text, moment, text},
		{"Jan  1 08:00:00 mx1 qmail: 1793579428.000042 " + text, moment, text},
		{"1793579428.000042 +rest of a line", moment, "rest of a line"},
		{text, time.Time{}, text},
		{"@40000000zzzzzzzz00000000 " + text, time.Time{}, "@40000000zzzzzzzz00000000 " + text},
		{"@ffffffffffffffffffffffff x", time.Time{}, "@ffffffffffffffffffffffff x"},
		{"@40000000000000000000a410 x", time.Time{}, "@40000000000000000000a410 x"},
		{"@400000006ae7d7beffffffff x", time.Time{}, "@400000006ae7d7beffffffff x"},
		{"Jan  1 08:00:00", time.Time{}, "Jan  1 08:00:00"},
		{"Jan 32 08:00:00 mx1 qmail: x", time.Time{}, "Jan 32 08:00:00 mx1 qmail: x"},
		{"1.2 x", time.Time{}, "1.2 x"},
	} {
		at, rest := Stamp(tc.line, now)
		if !at.Equal(tc.at) || rest != tc.rest {
			t.Errorf("%q: %v, %q, want %v, %q", tc.line, at, rest, tc.at, tc.rest)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 0, 30, 28, 42000, time.UTC)
	for _, tc := range []struct{ line, want string }{
		{"status: local 1/10 remote 2/255", `{"time":"2026-11-02T00:30:28.000042Z","program":"qmail-send","event":"status","local":1,"locallimit":10,"remote":2,"remotelimit":255}`},
		{"new msg " + id, `{"time":"2026-11-02T00:30:28.000042Z","program":"qmail-send","event":"new","msg":"` + id + `"}`},
		{"qmail-smtpd: refused code=007 text=a\"b\\c\x01\xff time=x", `{"time":"2026-11-02T00:30:28.000042Z","program":"qmail-smtpd","event":"refused","code":"007","text":"a\"b\\c\u0001` + "\uFFFD" + `","time_":"x"}`},
		{"alert: no text=here", `{"time":"2026-11-02T00:30:28.000042Z","program":"qmail-send","event":"alert","text":"no text=here"}`},
	} {
		if got := string(Parse(tc.line).AppendJSON(nil, at)); got != tc.want+"\n" {
			t.Errorf("%q:\n%swant\n%s", tc.line, got, tc.want)
		}
	}
}

// FuzzLine reads anything, and JSON of it is JSON that says the same.
func FuzzLine(f *testing.F) {
	for _, tc := range lines {
		f.Add(tc.line)
		f.Add("@400000006ae7d7be0000a410 " + tc.line)
		f.Add("Jan  1 08:00:00 mx1 qmail: 1793579428.000042 " + tc.line)
	}
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)
	f.Fuzz(func(t *testing.T, line string) {
		at, rest := Stamp(line, now)
		l := Parse(rest)
		if l.Event == "" {
			t.Errorf("%q has no event", line)
		}
		var members map[string]any
		text := l.AppendJSON(nil, at)
		if err := json.Unmarshal(text, &members); err != nil || strings.Count(string(text), "\n") != 1 {
			t.Fatalf("%q: %s: %v", line, text, err)
		}
		for _, fact := range l.Facts {
			switch fact.Name {
			case "time", "program", "event", "text":
				continue
			}
			if got := fmt.Sprint(members[fact.Name]); isASCII(fact.Value) && got != fact.Value && !numbers[fact.Name] {
				t.Errorf("%q: %s is %q, want %q", line, fact.Name, got, fact.Value)
			}
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c > 126 }) < 0
}

func BenchmarkParse(b *testing.B) {
	line := "@400000006ae7d7be0000a410 starting delivery 7: msg " + id + " to remote ann@far.example"
	now := time.Now()
	for b.Loop() {
		_, rest := Stamp(line, now)
		if l := Parse(rest); l.Event != "starting delivery" {
			b.Fatal(l)
		}
	}
}
