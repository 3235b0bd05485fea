package bench

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

var (
	runBench = flag.Bool("bench-run", false, "measure")
	quick    = flag.Bool("bench-quick", false, "measure with a tenth of the messages, two rounds")
)

func TestMain(m *testing.M) { os.Exit(testhost.Main(m)) }

// plan is how much is measured.
type plan struct{ rounds, messages, relayed, calls, starts int }

func planned() plan {
	switch {
	case !*runBench:
		return plan{rounds: 1, messages: 100, relayed: 50, calls: 5, starts: 10}
	case *quick:
		return plan{rounds: 2, messages: 600, relayed: 300, calls: 30, starts: 100}
	}
	return plan{rounds: 5, messages: 3000, relayed: 2000, calls: 200, starts: 400}
}

// numbers are the results of one peer and workload, one value a round.
type numbers map[string][]float64

// TestThroughput measures the suite and Postfix in turns.
func TestThroughput(t *testing.T) {
	testhost.NeedRoot(t, "disks of their own")
	net := testhost.NewNetwork(t)
	n := planned()
	ours := newPostrider(t, net)
	peers := []*peer{ours}
	tools := ""
	if *runBench {
		tools = postfixTree(t)
		peers = append(peers, newPostfix(t, net, tools))
	}
	results := make(map[string]numbers)
	for range n.rounds {
		for _, p := range peers {
			if results[p.name] == nil {
				results[p.name] = make(numbers)
			}
			p.empty(t)
			p.start()
			measure(t, p, tools, n, results[p.name])
			p.stop()
		}
	}
	syncs := 0.0
	if *runBench {
		syncs = syncsPerMessage(t, ours, tools, n.messages/5)
	}
	report(t, peers, results, syncs, n)
}

// measure runs all workloads once.
func measure(t *testing.T, p *peer, tools string, n plan, result numbers) {
	t.Helper()
	ctx := testhost.Within(t, waitLimit)
	inject := func(to string, messages int) time.Duration {
		t.Helper()
		took, err := p.send(ctx, tools, to, messages)
		if err != nil {
			t.Fatal(err)
		}
		return took
	}
	start := time.Now()
	took := inject(localRecipient, n.messages)
	last, err := p.delivered(ctx, n.messages)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.host.Log().Timed(max(0, p.host.Log().Len()-50)))
	}
	result.add("accepted/s", perSecond(n.messages, took))
	result.add("delivered/s", perSecond(n.messages, last.Sub(start)))
	drained(t, ctx, p)
	stopSink := startSink(t, p, tools)
	start = time.Now()
	inject(remoteRecipient, n.relayed)
	drained(t, ctx, p)
	result.add("relayed/s", perSecond(n.relayed, time.Since(start)))
	stopSink()
	result.add("sendmail ms", callSendmail(t, p, n.calls))
	drained(t, ctx, p)
}

// drained waits for an empty queue; if something stays, the log says why.
func drained(t *testing.T, ctx context.Context, p *peer) {
	t.Helper()
	err := p.drained(ctx)
	if err == nil {
		return
	}
	t.Error(err)
	for _, line := range p.host.Log().Lines(0) {
		if strings.Contains(line.Text, "deferral") || strings.Contains(line.Text, "warning") {
			t.Log(line.Text)
		}
	}
	t.FailNow()
}

// send injects with smtp-source or, in the small run that needs no tools, with
// one connection.
func (p *peer) send(ctx context.Context, tools, to string, messages int) (time.Duration, error) {
	if tools != "" {
		return p.inject(ctx, tools, to, messages)
	}
	start := time.Now()
	c, err := p.host.SMTP(ctx, "127.0.0.1:25")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for range messages {
		if err := c.Send("x@client.test", []string{to}, "Subject: m\n\n"+strings.Repeat("x\n", 2000)); err != nil {
			return 0, err
		}
	}
	return time.Since(start), c.Quit()
}

// startSink plays the next host.
func startSink(t *testing.T, p *peer, tools string) (stop func()) {
	t.Helper()
	if tools == "" {
		return p.host.Sink("127.0.0.1:"+sinkPort, nil).Close
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	sink, err := p.host.Start(testhost.Command{
		Argv:  []string{"chroot", tools, "smtp-sink", "-u", "postfix", "127.0.0.1:" + sinkPort, "200"},
		Files: []*os.File{null, null, null},
	})
	if err != nil {
		t.Fatal(err)
	}
	// A sink that does not listen yet would defer mail for minutes.
	p.awaitGreeting(t, "127.0.0.1:"+sinkPort)
	return func() {
		if err := sink.SignalGroup(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if _, err := sink.Wait(testhost.Within(t, time.Minute)); err != nil {
			t.Error(err)
		}
	}
}

// callSendmail returns milliseconds per call of sendmail, one after another.
func callSendmail(t *testing.T, p *peer, calls int) float64 {
	t.Helper()
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do printf 'From: x@client.test\\nTo: %s\\nSubject: m\\n\\nbody\\n' | %s || exit 1; i=$((i+1)); done",
		calls, localRecipient, strings.Join(p.sendmail, " "))
	start := time.Now()
	p.host.Must("sh", "-c", script)
	return float64(time.Since(start).Microseconds()) / 1000 / float64(calls)
}

// syncsPerMessage counts the spool's sync calls for messages in and out.
func syncsPerMessage(t *testing.T, p *peer, tools string, messages int) float64 {
	t.Helper()
	p.empty(t)
	p.start()
	spool := p.host.Find("qmail-spool")
	if len(spool) != 1 {
		t.Fatalf("spools: %v", spool)
	}
	said, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	tracer, err := p.host.Start(testhost.Command{
		Argv:  []string{"strace", "-f", "-e", "trace=fsync,fdatasync,syncfs", "-o", "/tmp/syncs", "-p", fmt.Sprint(spool[0].PID)},
		Files: []*os.File{says, says, says},
	})
	says.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 4096)); err != nil { // "attached"
		t.Fatal(err)
	}
	ctx := testhost.Within(t, waitLimit)
	if _, err := p.inject(ctx, tools, localRecipient, messages); err != nil {
		t.Fatal(err)
	}
	if _, err := p.delivered(ctx, messages); err != nil {
		t.Fatal(err)
	}
	if err := p.drained(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tracer.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := tracer.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	p.stop()
	return float64(len(syncDone.FindAllString(p.host.ReadFile("/tmp/syncs"), -1))) / float64(messages)
}

var syncDone = regexp.MustCompile(`(?m)(fsync|fdatasync|syncfs)(\(| resumed>).*= 0$`)

func (n numbers) add(name string, value float64) { n[name] = append(n[name], value) }

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// report prints the medians with the range of the rounds.
func report(t *testing.T, peers []*peer, results map[string]numbers, syncs float64, n plan) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d rounds in turns; %d messages of 4 KiB over 20 sessions, one connection each; %d processors; median [min-max]\n",
		n.rounds, n.messages, runtime.NumCPU())
	fmt.Fprintf(&b, "%-16s", "")
	names := []string{"accepted/s", "delivered/s", "relayed/s", "sendmail ms"}
	for _, name := range names {
		fmt.Fprintf(&b, "%22s", name)
	}
	b.WriteByte('\n')
	for _, p := range peers {
		fmt.Fprintf(&b, "%-16s", p.name)
		for _, name := range names {
			v := results[p.name][name]
			digits := 0
			if median(v) < 100 {
				digits = 1
			}
			fmt.Fprintf(&b, "%22s", fmt.Sprintf("%.*f [%.*f-%.*f]", digits, median(v), digits, slices.Min(v), digits, slices.Max(v)))
		}
		b.WriteByte('\n')
	}
	if syncs > 0 && !math.IsInf(syncs, 0) {
		fmt.Fprintf(&b, "syncs of qmail-spool per message: %.2f\n", syncs)
	}
	fmt.Print(b.String())
}
