package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// run is a run of a mail system that did everything right; each test breaks
// one thing.
type run struct {
	ledger   *Ledger
	evidence Evidence
	start    time.Time
	delivery int
}

func newRun() *run { return &run{ledger: empty(), start: time.Unix(1_000_000, 0)} }

func (r *run) at(seconds float64) time.Time {
	return r.start.Add(time.Duration(seconds * float64(time.Second)))
}

func (r *run) log(seconds float64, format string, args ...any) {
	r.evidence.Log = append(r.evidence.Log, LogLine{r.at(seconds), fmt.Sprintf(format, args...)})
}

func (r *run) fault(seconds float64) {
	r.ledger.record(r.at(seconds), []string{"FAULT", "kill", "qmail-local"})
}

const sender = "s@a.example"

// intend writes a message down and returns its text.
func (r *run) intend(id string, recipients ...string) string {
	text, hash := Compose(id, sender, recipients[0], 300)
	r.ledger.record(r.at(0), append([]string{"INTENT", id, "smtp", hash, "<" + sender + ">"}, recipients...))
	return text
}

func (r *run) ack(id string, recipients ...string) {
	r.ledger.record(r.at(0.1), append([]string{"ACK", id}, recipients...))
}

// attempt logs an attempt that takes from start to end; an empty result is
// one that was never reported.
func (r *run) attempt(message, recipient, result string, start, end float64) {
	r.delivery++
	r.log(start, "starting delivery %d: msg %s to local %s", r.delivery, message, recipient)
	if result != "" {
		r.log(end, "delivery %d: %s: did_1+0+0/", r.delivery, result)
	}
}

// schedulerDies begins the numbers of deliveries anew.
func (r *run) schedulerDies() { r.delivery = 0 }

// deliver puts a copy into a mailbox.
func (r *run) deliver(text, message, recipient string) *Delivery {
	text = "Return-Path: <" + sender + ">\nReceived: (qmail " + message + " invoked by uid 5); x\n" + text
	r.evidence.Deliveries = append(r.evidence.Deliveries, Delivery{
		Place: "mailbox", Recipient: recipient, Sender: sender, Text: text, When: r.at(1),
	})
	return &r.evidence.Deliveries[len(r.evidence.Deliveries)-1]
}

func (r *run) bounce(text, recipient string) { r.bounceAs("90", text, recipient) }

// bounceAs is a bounce that was the given entry of the queue.
func (r *run) bounceAs(entry, text, recipient string) {
	body := bounceStart + "qmail-send program at a.example.\n\n<" + recipient + ">:\nno such user\n\n" + bounceBreak + "Return-Path: <x>\n" + text
	r.evidence.Deliveries = append(r.evidence.Deliveries, Delivery{Place: "bounces", Recipient: sender, Text: "Received: (qmail " + entry + " invoked for bounce); x\nFrom: x\n\n" + body})
}

// good is one message for two recipients, delivered.
func good() (*run, string) {
	r := newRun()
	text := r.intend("m1", "x@b.example", "y@b.example")
	r.ack("m1")
	r.log(0.15, "new msg 77")
	for _, to := range []string{"x@b.example", "y@b.example"} {
		r.attempt("77", to, "success", 0.2, 0.3)
		r.deliver(text, "77", to)
	}
	r.log(0.4, "end msg 77")
	return r, text
}

func TestGoodRunsAreClean(t *testing.T) {
	t.Parallel()
	runs := map[string]func() *run{
		"delivered": func() *run { r, _ := good(); return r },
		"bounced": func() *run {
			r := newRun()
			text := r.intend("m1", "x@b.example")
			r.ack("m1")
			r.bounce(text, "x@b.example")
			return r
		},
		"queued": func() *run {
			r := newRun()
			r.intend("m1", "x@b.example")
			r.ack("m1")
			r.evidence.Queue = []Queued{{ID: "m1"}}
			r.evidence.Working = true
			return r
		},
		"refused": func() *run {
			r := newRun()
			r.intend("m1", "x@b.example")
			r.ledger.Nack("m1", 451)
			return r
		},
		"refused for now by a fault, and there": func() *run {
			r, _ := good()
			r.fault(0.05)
			r.ledger.record(r.at(0.1), []string{"NACK", "m1", "451"})
			return r
		},
		"refused for one": func() *run {
			r, _ := good()
			r.intend("m2", "x@b.example", "y@b.example")
			r.ledger.Nack("m2", 550)
			return r
		},
		"unknown, nothing there": func() *run {
			r := newRun()
			r.intend("m1", "x@b.example", "y@b.example")
			r.ledger.Unknown("m1")
			return r
		},
		"bounced twice by a kill": func() *run {
			r := newRun()
			text := r.intend("m1", "x@b.example")
			r.ack("m1")
			r.log(10, "new msg 90")
			r.fault(10.5)
			r.log(11, "new msg 91")
			r.bounceAs("90", text, "x@b.example")
			r.bounceAs("91", text, "x@b.example")
			return r
		},
		"delivered twice by a kill": func() *run {
			r, text := good()
			r.fault(0.35)
			r.schedulerDies()
			r.attempt("77", "x@b.example", "success", 5, 6)
			r.deliver(text, "77", "x@b.example")
			return r
		},
	}
	for name, make := range runs {
		r := make()
		if found, summary := r.ledger.Check(r.evidence); len(found) > 0 || r.ledger.err != nil {
			t.Errorf("%s: %v, %v (%v)", name, found, r.ledger.err, summary)
		}
	}
}

func TestEachViolationIsSeen(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		rule Rule
		mend func(r *run, text string)
	}{
		{"a delivery is missing", "L1", func(r *run, _ string) { r.evidence.Deliveries = r.evidence.Deliveries[1:] }},
		{"nothing is there", "L1", func(r *run, _ string) { r.evidence.Deliveries = nil }},
		{"a byte changed", "L2", func(r *run, _ string) {
			d := &r.evidence.Deliveries[0]
			d.Text = strings.Replace(d.Text, "line 0", "line O", 1)
		}},
		{"cut short", "L2", func(r *run, _ string) {
			d := &r.evidence.Deliveries[0]
			d.Text = d.Text[:len(d.Text)-1]
		}},
		{"an empty file", "L2", func(r *run, _ string) { r.evidence.Deliveries[0].Text = "" }},
		{"two messages in one", "L2", func(r *run, text string) { r.evidence.Deliveries[0].Text += text }},
		{"foreign mail", "L2", func(r *run, _ string) { r.deliver("Subject: spam\n\nx\n", "78", "x@b.example") }},
		{"foreign queue file", "L2", func(r *run, _ string) { r.evidence.Queue = []Queued{{ID: "m9"}} }},
		{"refused and delivered", "L3", func(r *run, _ string) { r.ledger.Nack("m1", 451) }},
		{"refused and queued", "L3", func(r *run, _ string) {
			r.intend("m2", "x@b.example")
			r.ledger.Nack("m2", 451)
			r.evidence.Queue = []Queued{{ID: "m2"}}
		}},
		{"unknown and there in part", "L3", func(r *run, _ string) {
			r.ledger.Unknown("m1")
			r.evidence.Deliveries = r.evidence.Deliveries[1:]
		}},
		{"twice without a fault", "L4", func(r *run, text string) { r.deliver(text, "77", "x@b.example") }},
		{"twice, the fault was long after", "L4", func(r *run, text string) {
			r.fault(60)
			r.deliver(text, "77", "x@b.example")
		}},
		{"again without the scheduler's death", "L4", func(r *run, text string) {
			r.fault(0.35)
			r.attempt("77", "x@b.example", "success", 5, 6)
			r.deliver(text, "77", "x@b.example")
		}},
		{"again long after the success", "L4", func(r *run, text string) {
			r.fault(0.3 + (markTime + slack).Seconds())
			r.schedulerDies()
			r.attempt("77", "x@b.example", "success", 5, 6)
			r.deliver(text, "77", "x@b.example")
		}},
		{"put off, no fault, and delivered", "L4", func(r *run, text string) {
			r.attempt("77", "x@b.example", "deferral", 5, 6)
			r.attempt("77", "x@b.example", "success", 7, 8)
			r.deliver(text, "77", "x@b.example")
		}},
		{"forwarded twice without a fault", "L4", func(r *run, text string) {
			for _, onward := range []string{"80", "81"} {
				d := r.deliver(text, "77", "x@b.example")
				d.Forwarded = []Hop{{onward, "z@b.example"}}
			}
			r.evidence.Deliveries = r.evidence.Deliveries[1:]
		}},
		{"torn more often than killed", "L2", func(r *run, text string) { r.evidence.Torn = 1 }},
		{"three times by one fault", "L4", func(r *run, text string) {
			r.fault(0.25)
			r.schedulerDies()
			r.attempt("77", "x@b.example", "success", 5, 6)
			r.log(6.1, "end msg 77")
			r.deliver(text, "77", "x@b.example")
			r.deliver(text, "77", "x@b.example")
			r.deliver(text, "77", "x@b.example")
		}},
		{"accepted twice", "L4", func(r *run, text string) {
			r.fault(0.25)
			r.deliver(text, "78", "x@b.example")
		}},
		{"delivered and bounced", "L5", func(r *run, text string) { r.bounce(text, "x@b.example") }},
		{"to somebody else", "L6", func(r *run, text string) { r.deliver(text, "77", "z@b.example") }},
		{"from somebody else", "L6", func(r *run, text string) { r.evidence.Deliveries[0].Sender = "z@b.example" }},
		{"bounced for somebody else", "L6", func(r *run, text string) { r.bounce(text, "z@b.example") }},
		{"bounced twice", "L7", func(r *run, text string) {
			text = r.intend("m2", "x@b.example")
			r.ack("m2")
			r.bounce(text, "x@b.example")
			r.bounce(text, "x@b.example")
		}},
		{"two bounces, a fault long before", "L7", func(r *run, text string) {
			text = r.intend("m2", "x@b.example")
			r.ack("m2")
			r.fault(0.25)
			r.log(10, "new msg 90")
			r.log(11, "new msg 91")
			r.bounceAs("90", text, "x@b.example")
			r.bounceAs("91", text, "x@b.example")
		}},
		{"refused for good by a fault and delivered", "L3", func(r *run, _ string) {
			r.fault(0.05)
			r.ledger.record(r.at(0.1), []string{"NACK", "m1", "550"})
		}},
		{"refused for now long before a fault and delivered", "L3", func(r *run, _ string) {
			r.ledger.record(r.at(0.1), []string{"NACK", "m1", "451"})
			r.fault(60)
		}},
		{"bounced though refused", "L7", func(r *run, text string) {
			text = r.intend("m2", "x@b.example")
			r.ledger.Nack("m2", 550)
			r.bounce(text, "x@b.example")
		}},
		{"bounced to the null sender", "L7", func(r *run, text string) {
			text, hash := Compose("m2", "", "x@b.example", 300)
			r.ledger.Intend(Intent{ID: "m2", Via: "smtp", Hash: hash, Recipients: []string{"x@b.example"}})
			r.ack("m2")
			r.bounce(text, "x@b.example")
		}},
		{"a bounce of nothing", "L7", func(r *run, text string) { r.bounce("Subject: x\n", "x@b.example") }},
		{"left in tmp", "L8", func(r *run, _ string) { r.evidence.Leftovers = []string{"queue/tmp/1"} }},
		{"still queued", "L8", func(r *run, _ string) { r.evidence.Queue = []Queued{{ID: "m1"}} }},
		{"late", "L9", func(r *run, _ string) {
			r.fault(0.25)
			r.evidence.Deliveries[0].When = r.at(40)
		}},
		{"delivered without a word", "L10", func(r *run, _ string) {
			r.evidence.Log = slices.DeleteFunc(r.evidence.Log, func(l LogLine) bool { return strings.Contains(l.Text, "x@b.example") })
		}},
		{"claimed only", "L10", func(r *run, _ string) { r.attempt("77", "x@b.example", "success", 5, 6) }},
	}
	for _, c := range cases {
		r, text := good()
		c.mend(r, text)
		found, _ := r.ledger.Check(r.evidence)
		if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == c.rule }) {
			t.Errorf("%s: want %s, got %v", c.name, c.rule, found)
		}
		if r.ledger.err != nil {
			t.Errorf("%s: %v", c.name, r.ledger.err)
		}
	}
}

func TestFileIsReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Intend(Intent{ID: "a", Via: "sendmail", Sender: "", Recipients: []string{"x@b", "y@b"}, Hash: "h"})
	l.Intend(Intent{ID: "b", Via: "smtp", Sender: sender, Recipients: []string{"x@b"}, Hash: "h"})
	l.Ack("a", "x@b")
	l.Nack("a", 550, "y@b")
	l.Unknown("b")
	l.Fault("kill", "qmail-send")
	want := fmt.Sprintf("%v %v", l.Entries(), l.Faults())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	back, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	strip := func(s string) string { return strings.ReplaceAll(s, " m=+", "") }
	if got := back.Entries(); len(got) != 2 || got[0].Answers["x@b"] != Acked || got[0].Answers["y@b"] != Nacked || got[1].Answers["x@b"] != Unknown || got[0].Sender != "" {
		t.Errorf("got %v, want %s", got, strip(want))
	}
	if got := back.Faults(); len(got) != 1 || got[0].Target != "qmail-send" {
		t.Errorf("got %v", got)
	}
}

func TestRecordsThatMakeNoSenseAreErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x INTENT a smtp h <s> r", "1 INTENT a smtp h <s>", "1 ACK a", "1 LAUGH a", "1",
		"1 INTENT a smtp h <s> r\n1 INTENT a smtp h <s> r", "1 INTENT a smtp h <s> r\n2 ACK a q", "1 INTENT a smtp h <s> r\n2 NACK a",
	} {
		if _, err := Read(strings.NewReader(text + "\n")); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
}

func TestQueueFilesAreReadRaw(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRun()
	text := r.intend("m1", "x@b.example", "y@b.example")
	for name, content := range map[string]string{
		"20":      text + "F" + sender + "\x00Tx@b.example\x00\x00footer",
		"21.body": text,
		"22":      "X-Ledger-Id: alien\n",
		"23":      "nothing\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := ScanQueue(r.ledger, dir, filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range found {
		got = append(got, fmt.Sprintf("%s %s %v", filepath.Base(q.File), q.ID, q.Recipients))
	}
	want := []string{"20 m1 [x@b.example]", "21.body m1 [x@b.example y@b.example]", "22 alien []"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestComposeIsRecognised(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 300, 4096, 100_000} {
		text, hash := Compose("m1", "a@b", "c@d", size)
		head, body := split(text)
		if ledgerID(head) != "m1" || Hash(body) != hash {
			t.Errorf("size %d: not recognised", size)
		}
		if len(text) > max(size, 200)+100 || size > 300 && len(text) < size-100 {
			t.Errorf("size %d: %d bytes", size, len(text))
		}
	}
}

func FuzzParseBounce(f *testing.F) {
	text, _ := Compose("m1", "a@b", "c@d", 300)
	f.Add("From: x\n\n" + bounceStart + "x\n\n<a@b>:\nno\n\n" + bounceBreak + text)
	f.Add("From: x\n\n" + bounceStart + "\n\n<a@b>:\n\n" + doubledBreak)
	f.Fuzz(func(t *testing.T, text string) {
		b, isBounce := ParseBounce(text)
		if !isBounce && (b.ID != "" || b.Recipients != nil) {
			t.Errorf("%q: %v", text, b)
		}
	})
}
