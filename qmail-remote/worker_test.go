package qmailremote

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
)

// workbench is a worker with the ends that qmail-start and qmail-send hold.
type workbench struct {
	*host
	given   int // jobs
	control *parent.Channel
	log     *os.File
	status  chan int
}

func newWorkbench(t *testing.T, zone ...string) *workbench {
	t.Helper()
	return startWorkbench(t, newHost(t, zone...))
}

func startWorkbench(t *testing.T, h *host) *workbench {
	t.Helper()
	b := &workbench{host: h, status: make(chan int, 1)}
	ours, theirs := pair(t)
	var err error
	if b.control, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	inherited, err := parent.NewChannel(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if b.log, err = os.Create(t.TempDir() + "/log"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.log.Close() })
	go func() { b.status <- newWorker(b.client, b.log).run(context.Background(), inherited) }()
	t.Cleanup(func() { b.control.Close() })
	return b
}

func pair(t testing.TB) (a, b *os.File) {
	t.Helper()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// link gives the worker a link and returns qmail-send's end.
func (b *workbench) link() *fdpass.Packets {
	b.t.Helper()
	ours, theirs := pair(b.t)
	if sent, err := b.control.Send(parent.Frame{Kind: parent.Link, Name: parent.Spawn, File: theirs}); err != nil || !sent {
		b.t.Fatalf("send link: %v %v", sent, err)
	}
	theirs.Close()
	p, err := fdpass.NewPackets(ours)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// give sends jobs, the message of every other one by descriptor.
func (b *workbench) give(p *fdpass.Packets, text string, jobs ...spawn.Job) {
	b.t.Helper()
	var files []*os.File
	for i := range jobs {
		b.given++
		if jobs[i].Message.ByFile = b.given%2 == 0 || len(text) > spawn.MaxInline; jobs[i].Message.ByFile {
			files = append(files, messageFile(b.t, text))
		} else {
			jobs[i].Message.Bytes = []byte(text)
		}
	}
	if err := p.Send(spawn.AppendJobs(nil, 0, jobs), files...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *workbench) job(first uint64, domain string, recipients ...string) spawn.Job {
	b.t.Helper()
	id, err := queuedir.ParseID("17637828000000000142")
	if err != nil {
		b.t.Fatal(err)
	}
	j := spawn.Job{ID: id, Sender: addr(b.t, "s@x.example"), Host: domain}
	for i, r := range recipients {
		j.Recipients = append(j.Recipients, spawn.Recipient{Delivery: first + uint64(i), Address: addr(b.t, r)})
	}
	return j
}

// fileJob is a job whose message goes by descriptor.
func (b *workbench) fileJob(first uint64, domain string, recipients ...string) spawn.Job {
	b.t.Helper()
	j := b.job(first, domain, recipients...)
	j.Message.ByFile = true
	return j
}

// results reads count results and shows them in the order of deliveries.
func (b *workbench) results(p *fdpass.Packets, count int) string {
	b.t.Helper()
	var all []spawn.Result
	buf := make([]byte, spawn.MaxPacket)
	for len(all) < count {
		n, files, err := p.Receive(buf, 0)
		if err != nil || len(files) > 0 {
			b.t.Fatalf("receive: %v", err)
		}
		results, err := spawn.DecodeResults(buf[:n])
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, results...)
	}
	slices.SortFunc(all, func(x, y spawn.Result) int { return int(x.Delivery) - int(y.Delivery) })
	var lines []string
	for _, r := range all {
		lines = append(lines, fmt.Sprintf("%d%c%s", r.Delivery, r.Class, strings.ReplaceAll(r.Text, "\n", "/")))
	}
	return strings.Join(lines, "\n")
}

// stop ends the control channel and returns the worker's status.
func (b *workbench) stop() int {
	b.control.Close()
	return <-b.status
}

var oneMX = []string{"d.example. 60 IN MX 10 mx.d.example.", "mx.d.example. 60 IN A 192.0.2.1"}

func TestWorkerJob(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, oneMX...)
	b.peer("192.0.2.1", hello+`C MAIL FROM:<s@x.example>
		S 250 ok
		C RCPT TO:<a@d.example>
		S 250 ok
		C RCPT TO:<b@d.example>
		S 550 no such user
		C RCPT TO:<c@d.example>
		S 451 later
		C DATA
		S 354 go
		D Subject: x||hi
		S 250 queued`+bye)
	p := b.link()
	b.give(p, simpleMessage, b.job(7, "d.example", "a@d.example", "b@d.example", "c@d.example"))
	want := "7K192.0.2.1 accepted message./Remote host said: 250 queued/\n" +
		"8D192.0.2.1 does not like recipient./Remote host said: 550 no such user/\n" +
		"9Z192.0.2.1 does not like recipient./Remote host said: 451 later/"
	if got := b.results(p, 3); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if status := b.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	b.end()
}

// TestWorkerManyJobs gives out full packets of jobs; each delivery is answered
// exactly once.
func TestWorkerManyJobs(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, "d.example. 60 IN MX 0 .")
	p := b.link()
	const packets = 5
	go func() {
		for i := range packets {
			var jobs []spawn.Job
			for j := range spawn.MaxJobs {
				n := uint64(i*spawn.MaxJobs+j)*2 + 1
				jobs = append(jobs, b.job(n, "d.example", "a@d.example", "b@d.example"))
			}
			b.give(p, "hi\n", jobs...)
		}
	}()
	lines := strings.Split(b.results(p, 2*packets*spawn.MaxJobs), "\n")
	for i, line := range lines {
		if want := fmt.Sprintf("%dDSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)/", i+1); line != want {
			t.Fatalf("got %s, want %s", line, want)
		}
	}
	b.stop()
}

// TestWorkerResultsUnread: a qmail-send that gives out jobs and reads no results
// is no more read from; once it reads, every job is answered.
func TestWorkerResultsUnread(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, "d.example. 60 IN MX 0 .")
	ours, theirs := pair(t)
	l, err := newLink(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	p, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		newWorker(b.client, b.log).serve(l)
		close(served)
	}()
	const packets = 3 * maxInHand / spawn.MaxJobs
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range packets {
			var jobs []spawn.Job
			for n := range spawn.MaxJobs {
				jobs = append(jobs, b.job(uint64(i*spawn.MaxJobs+n+1), "d.example", "a@d.example"))
			}
			if p.Send(spawn.AppendJobs(nil, 0, jobs)) != nil {
				return // the results are missed below
			}
		}
	}()
	taken := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.inHand + len(l.waiting)
	}
	for same, before := 0, -1; same < 5; before = taken() { // until nothing moves
		time.Sleep(100 * time.Millisecond)
		if same++; taken() != before || before < maxInHand {
			same = 0
		}
	}
	if got, most := taken(), 2*maxInHand+spawn.MaxJobs; got > most {
		t.Errorf("%d jobs are in hand or answered, want at most %d", got, most)
	}
	select {
	case <-sent:
		t.Error("all jobs were taken")
	default:
	}
	if got := strings.Count(b.results(p, packets*spawn.MaxJobs), "D"); got < packets*spawn.MaxJobs {
		t.Errorf("%d results", got)
	}
	p.Close()
	<-served
	b.stop() // waits for what is in hand
	if l.inHand != 0 || l.held != 0 {
		t.Errorf("%d jobs with %d bytes are in hand when all are answered", l.inHand, l.held)
	}
}

// TestWorkerLinkReplaced: the jobs of a lost link are called off, the new link
// is served.
func TestWorkerLinkReplaced(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	waiting := make(chan struct{})
	h.event = func() { close(waiting) }
	h.peer("192.0.2.1", hello+"C MAIL FROM:<s@x.example>\n@ event\n~ hang", success)
	h.client.settings = func() (*settings, error) {
		set := h.set
		set.remoteTimeout = 1 << 40
		return &set, nil
	}
	b := startWorkbench(t, h)
	old := b.link()
	b.give(old, simpleMessage, b.job(1, "d.example", "r@d.example"))
	<-waiting
	p := b.link()
	b.give(p, simpleMessage, b.job(1, "d.example", "r@d.example"))
	if got := b.results(p, 1); got != "1K192.0.2.1 accepted message./Remote host said: 250 queued/" {
		t.Errorf("got %s", got)
	}
	if _, _, err := old.Receive(make([]byte, 100), 0); err != io.EOF {
		t.Errorf("the old link: %v", err)
	}
	b.stop()
}

// TestWorkerDrains: after the parent's end of file a delivery in hand is
// finished and told.
func TestWorkerDrains(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, oneMX...)
	b.event = func() { b.control.Close() }
	b.peer("192.0.2.1", sent+"@ event\nS 250 queued"+bye)
	p := b.link()
	b.give(p, simpleMessage, b.job(1, "d.example", "r@d.example"))
	if got := b.results(p, 1); got != "1K192.0.2.1 accepted message./Remote host said: 250 queued/" {
		t.Errorf("got %s", got)
	}
	if status := <-b.status; status != 0 {
		t.Errorf("status %d", status)
	}
	b.end()
}

// TestWorkerGivesUp: a delivery that hangs when the worker is to end is called
// off, and told.
func TestWorkerGivesUp(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	now := newManualClock()
	h.client.clock = now
	waiting := make(chan struct{})
	h.event = func() { close(waiting) }
	h.peer("192.0.2.1", hello+"C MAIL FROM:<s@x.example>\n@ event\n~ hang")
	b := startWorkbench(t, h)
	p := b.link()
	b.give(p, simpleMessage, b.job(1, "d.example", "r@d.example"))
	<-waiting
	b.control.Close()
	now.awaitWait()
	now.add(drainFor)
	if got := b.results(p, 1); got != "1ZConnected to 192.0.2.1 but connection died. (#4.4.2)/" {
		t.Errorf("got %s", got)
	}
	if status := <-b.status; status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestWorkerOddFrames: what is not the worker's is passed over. A qmail-start of
// the next release may hand more to one of this release, which has deliveries in
// hand.
func TestWorkerOddFrames(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, "d.example. 60 IN MX 0 .")
	p := b.link()
	for _, f := range []parent.Frame{{Kind: parent.Environment, Data: []byte("A=b\x00")}, {Kind: parent.Go}} {
		if sent, err := b.control.Send(f); err != nil || !sent {
			t.Fatal(err)
		}
	}
	for _, f := range []parent.Frame{{Kind: parent.Link, Name: "new.remote"}, {Kind: parent.Listener, Name: "new"}} {
		ours, theirs := pair(t)
		f.File = theirs
		if sent, err := b.control.Send(f); err != nil || !sent {
			t.Fatalf("send: %v %v", sent, err)
		}
		theirs.Close()
		if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s stays open: %v", f.Name, err)
		}
	}
	b.give(p, simpleMessage, b.job(1, "d.example", "r@d.example"))
	if got := b.results(p, 1); !strings.HasPrefix(got, "1D") {
		t.Errorf("got %s", got)
	}
	if status := b.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	log, err := os.ReadFile(b.log.Name())
	if err != nil || !strings.Contains(string(log), "control channel hands over new.remote, which is not for qmail-remote") {
		t.Errorf("log %q, %v", log, err)
	}
}

// TestWorkerProtocol: a peer that breaks the protocol is dropped, and a new
// link is served.
func TestWorkerProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		send func(b *workbench, p *fdpass.Packets) error
	}{
		{"no packet of ours", func(b *workbench, p *fdpass.Packets) error { return p.Send([]byte("X")) }},
		{"job without descriptor", func(b *workbench, p *fdpass.Packets) error {
			return p.Send(spawn.AppendJobs(nil, 0, []spawn.Job{b.fileJob(1, "d", "r@d")}))
		}},
		{"more descriptors than jobs", func(b *workbench, p *fdpass.Packets) error {
			f := messageFile(b.t, "")
			return p.Send(spawn.AppendJobs(nil, 0, []spawn.Job{b.job(2, "d", "r@d"), b.fileJob(1, "d", "r@d")}), f, f)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newWorkbench(t, "d.example. 60 IN MX 0 .")
			p := b.link()
			if err := c.send(b, p); err != nil {
				t.Fatal(err)
			}
			if _, _, err := p.Receive(make([]byte, 100), 0); err != io.EOF {
				t.Errorf("the link: %v", err)
			}
			p = b.link()
			b.give(p, "", b.job(1, "d.example", "r@d.example"))
			if got := b.results(p, 1); !strings.HasPrefix(got, "1DSorry") {
				t.Errorf("got %s", got)
			}
			b.stop()
			log, err := os.ReadFile(b.log.Name())
			if err != nil || !strings.HasPrefix(string(log), "qmail-remote: warning: link to qmail-send: ") || strings.Count(string(log), "\n") != 1 {
				t.Errorf("log %q, %v", log, err)
			}
		})
	}
}

// TestWorkerUnreadable: a message that cannot be read is temporary trouble.
func TestWorkerUnreadable(t *testing.T) {
	t.Parallel()
	b := newWorkbench(t, oneMX...)
	p := b.link()
	f, err := os.OpenFile(t.TempDir()+"/message", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("for writing only\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(spawn.AppendJobs(nil, 0, []spawn.Job{b.fileJob(1, "d.example", "r@d.example")}), f); err != nil {
		t.Fatal(err)
	}
	if got := b.results(p, 1); got != "1ZUnable to read message. (#4.3.0)/" {
		t.Errorf("got %s", got)
	}
	b.stop()
}

// TestLinkPackets: results of the largest size arrive, in several packets.
func TestLinkPackets(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t)
	l, err := newLink(context.Background(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	p, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	b := &workbench{host: &host{testNet: &testNet{t: t}}}
	var all []spawn.Result
	for i := range 50 {
		all = append(all, spawn.Result{Delivery: uint64(i), Class: spawn.Deferral, Text: strings.Repeat("x", spawn.MaxText+5)})
	}
	go l.answer(all)
	if n := strings.Count(b.results(p, len(all)), "\n"); n != len(all)-1 {
		t.Errorf("%d lines", n)
	}
	l.end()
	l.answer(all) // to nobody: must not block
	l.flush()
}
