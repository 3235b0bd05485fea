package qmailsend

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/esmtp"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/spawn"
	"postrider/internal/wire/submit"
)

// bounced is a message that the scheduler submitted.
type bounced struct {
	sender, recipient, body string
	nonce                   string
	facts                   esmtp.Message
}

// testSpool is the spool's side.
type testSpool struct {
	t       testing.TB
	host    host
	packets *fdpass.Packets

	mu        sync.Mutex
	changed   sync.Cond
	announced int
	denied    map[queuedir.ID]bool // not committed
	refuse    bool                 // bounces
	hold      bool                 // answers to Remove
	silent    bool                 // to queries
	spoolSeen
}

// spoolSeen is what a spool was asked.
type spoolSeen struct {
	removed   map[queuedir.ID]int
	queried   int
	bad       []queuedir.ID
	bounces   []bounced
	submitted int
	nonces    []string
}

func (p *testSpool) seen() spoolSeen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return spoolSeen{maps.Clone(p.removed), p.queried, slices.Clone(p.bad), slices.Clone(p.bounces), p.submitted, slices.Clone(p.nonces)}
}

// set changes what the spool does.
func (p *testSpool) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func newTestSpool(t testing.TB, h host) *testSpool {
	p := &testSpool{t: t, host: h, denied: make(map[queuedir.ID]bool)}
	p.removed = make(map[queuedir.ID]int)
	p.changed.L = &p.mu
	return p
}

// connect makes a fresh entries link.
func (p *testSpool) connect(s *scheduler) {
	ours, theirs := pair(p.t)
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.packets = packets
	p.mu.Unlock()
	p.t.Cleanup(func() { packets.Close() })
	go p.serve(packets)
	if err := s.attachSpool(theirs); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testSpool) serve(packets *fdpass.Packets) {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, _, err := packets.Receive(buf, 0)
		if err != nil {
			return
		}
		err = entries.Decode(buf[:n], func(m entries.Message) error {
			if answer, ok := p.answer(m); ok {
				return packets.Send(entries.Append(nil, answer))
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

func (p *testSpool) answer(m entries.Message) (entries.Message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	answer := entries.Message{ID: m.ID}
	switch m.Kind {
	case entries.Query:
		p.queried++
		if p.silent {
			return answer, false
		}
		answer.Kind = entries.NotCommitted
		if _, err := os.Stat(p.host.layout.Entry(m.ID)); err == nil && !p.denied[m.ID] {
			answer.Kind = entries.Committed
		}
	case entries.Remove:
		p.removed[m.ID]++
		if p.hold {
			return answer, false
		}
		_ = os.Remove(p.host.layout.Entry(m.ID))
		answer.Kind = entries.Removed
	case entries.Quarantine:
		p.bad = append(p.bad, m.ID)
		_ = os.Rename(p.host.layout.Entry(m.ID), p.host.layout.Bad()+"/"+m.ID.String())
		answer.Kind = entries.Quarantined
	}
	return answer, true
}

// accept queues and announces m.
func (p *testSpool) accept(m testMessage) {
	p.t.Helper()
	p.host.queue(p.t, m)
	p.announce(m)
}

func (p *testSpool) announce(m testMessage) {
	p.t.Helper()
	a := entries.Message{Kind: entries.Announced, ID: m.id, UID: 1000, Size: int64(len(m.body))}
	if envelope := m.envelope(p.t); len(envelope) <= entries.MaxInlineEnvelope {
		a.Envelope = envelope
	}
	p.mu.Lock()
	packets := p.packets
	p.announced++
	p.mu.Unlock()
	if err := packets.Send(entries.Append(nil, a)); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until cond holds; cond runs under the lock.
func (p *testSpool) until(what string, cond func() bool) {
	p.t.Helper()
	timeout := time.AfterFunc(patience, p.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s", what)
		}
		p.changed.Wait()
	}
}

func (p *testSpool) untilRemoved(id queuedir.ID) {
	p.t.Helper()
	p.until("removal of "+id.String(), func() bool { return p.removed[id] > 0 })
}

// connectSubmit makes a fresh submit channel.
func (p *testSpool) connectSubmit(s *scheduler) {
	ours, theirs := pair(p.t)
	channel, err := fdpass.NewPackets(ours)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { channel.Close() })
	go func() {
		for {
			f, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			go p.takeBounces(f)
		}
	}()
	if err := s.attachSubmit(theirs); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testSpool) takeBounces(f *os.File) {
	defer f.Close()
	if _, err := f.Write(submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))); err != nil {
		return
	}
	var message, envelope bytes.Buffer
	for {
		kind, n, err := submit.ReadHeader(f)
		if err != nil {
			return
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(f, payload); err != nil {
			return
		}
		switch kind {
		case submit.Message:
			message.Write(payload)
		case submit.Envelope:
			envelope.Write(payload)
		case submit.Commit:
			answer := p.takeBounce(message.String(), envelope.String(), fmt.Sprintf("%x", payload))
			message.Reset()
			envelope.Reset()
			if _, err := f.Write(submit.AppendAnswer(nil, answer)); err != nil {
				return
			}
		}
	}
}

func (p *testSpool) takeBounce(message, envelope, nonce string) submit.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	p.submitted++
	p.nonces = append(p.nonces, nonce)
	if p.refuse {
		return submit.Answer{Kind: submit.Temporary, ExitCode: 53, Text: "disk full"}
	}
	b := bounced{body: message, nonce: nonce}
	for record := range strings.SplitSeq(strings.TrimRight(envelope, "\x00"), "\x00") {
		switch letter, value := record[0], record[1:]; letter {
		case 'F':
			b.sender = value
		case 'T':
			b.recipient = value
		default:
			if err := b.facts.Take(letter, value); err != nil {
				p.t.Errorf("record %q of a bounce: %v", record, err)
			}
		}
	}
	p.bounces = append(p.bounces, b)
	return submit.Answer{Kind: submit.Accepted, ID: bounceID(len(p.bounces)).String()}
}

func bounceID(n int) queuedir.ID { return queuedir.NewID(testStart.Add(-time.Hour), n, 99) }

// testAgent is qmail-lspawn or a remote worker: it answers each delivery as
// the test says, or keeps it.
type testAgent struct {
	t       testing.TB
	packets *fdpass.Packets
	verdict func(spawn.Job, spawn.Recipient) (spawn.Class, string) // class 0: no answer yet

	mu      sync.Mutex
	changed sync.Cond
	kept    []spawn.Recipient // without an answer
	agentSeen
}

// agentSeen is what an agent was given.
type agentSeen struct {
	jobs   []spawn.Job
	bodies []string
	slots  int
	most   int // deliveries at a time
}

func (ag *testAgent) seen() agentSeen {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	return agentSeen{slices.Clone(ag.jobs), slices.Clone(ag.bodies), ag.slots, ag.most}
}

// connectAgent attaches a fresh agent.
func connectAgent(t testing.TB, s *scheduler, c channelID, number int, verdict func(spawn.Job, spawn.Recipient) (spawn.Class, string)) *testAgent {
	t.Helper()
	ours, theirs := pair(t)
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	ag := &testAgent{t: t, packets: packets, verdict: verdict}
	ag.changed.L = &ag.mu
	t.Cleanup(func() { packets.Close() })
	go ag.serve()
	name := "spawn.local"
	if c == remote {
		name = fmt.Sprintf("spawn.remote.%d", number)
	}
	if err := s.attachAgent(name, theirs, c, number); err != nil {
		t.Fatal(err)
	}
	return ag
}

func (ag *testAgent) serve() {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, files, err := ag.packets.Receive(buf, fdpass.MaxFiles)
		if err != nil {
			return
		}
		slots, jobs, err := spawn.DecodeJobs(buf[:n])
		if err == nil {
			err = spawn.AttachFiles(jobs, files)
		}
		if err != nil {
			ag.t.Errorf("%d jobs, %d files: %v", len(jobs), len(files), err)
			return
		}
		if results := ag.take(slots, jobs); len(results) > 0 {
			if err := ag.packets.Send(spawn.AppendResults(nil, results)); err != nil {
				return
			}
		}
	}
}

func (ag *testAgent) take(slots int, jobs []spawn.Job) []spawn.Result {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	defer ag.changed.Broadcast()
	ag.slots = slots
	var results []spawn.Result
	for _, j := range jobs {
		body := j.Message.Bytes
		if j.Message.ByFile {
			var err error
			if body, err = io.ReadAll(j.Message.File); err != nil {
				ag.t.Error(err)
			}
			j.Message.Close()
		}
		ag.jobs = append(ag.jobs, j)
		ag.bodies = append(ag.bodies, string(body))
		for _, r := range j.Recipients {
			class, text := ag.verdict(j, r)
			if class == 0 {
				ag.kept = append(ag.kept, r)
				ag.most = max(ag.most, len(ag.kept))
				continue
			}
			results = append(results, spawn.Result{Delivery: r.Delivery, Class: class, Text: text})
		}
	}
	return results
}

// until waits until cond holds; cond runs under the lock.
func (ag *testAgent) until(what string, cond func() bool) {
	ag.t.Helper()
	timeout := time.AfterFunc(patience, ag.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	ag.mu.Lock()
	defer ag.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			ag.t.Fatalf("waited in vain: %s", what)
		}
		ag.changed.Wait()
	}
}

// untilKept waits until n deliveries have no answer.
func (ag *testAgent) untilKept(n int) {
	ag.t.Helper()
	ag.until(fmt.Sprintf("%d deliveries", n), func() bool { return len(ag.kept) >= n })
}

// answer answers the first n kept deliveries.
func (ag *testAgent) answer(n int, class spawn.Class, text string) {
	ag.t.Helper()
	ag.mu.Lock()
	var results []spawn.Result
	for _, r := range ag.kept[:n] {
		results = append(results, spawn.Result{Delivery: r.Delivery, Class: class, Text: text})
	}
	ag.kept = ag.kept[n:]
	ag.mu.Unlock()
	if err := ag.packets.Send(spawn.AppendResults(nil, results)); err != nil {
		ag.t.Fatal(err)
	}
}

// recipients returns every recipient that was given out, in order.
func (ag *testAgent) recipients() []string {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	var all []string
	for _, j := range ag.jobs {
		for _, r := range j.Recipients {
			all = append(all, r.Address.String())
		}
	}
	return all
}

func always(class spawn.Class, text string) func(spawn.Job, spawn.Recipient) (spawn.Class, string) {
	return func(spawn.Job, spawn.Recipient) (spawn.Class, string) { return class, text }
}

func pair(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}
