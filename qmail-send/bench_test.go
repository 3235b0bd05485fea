package qmailsend

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
)

// BenchmarkDelivery is messages with one local recipient, from announcement to
// removal, as many at a time as the limits allow. cpu-us/op is the processor
// time of the scheduler and of the test's peers together.
func BenchmarkDelivery(b *testing.B) {
	r := newRig(b, newHost(b, nil), newManualClock())
	countIn(b, r.s)
	r.connect()
	connectAgent(b, r.s, local, 0, always(spawn.Success, "did 1+0+0\n"))
	var messages []testMessage
	for i := range b.N {
		m := testMessage{
			id:     queuedir.NewID(testStart.Add(-time.Duration(i)*time.Microsecond), 0, i),
			sender: "sender@example.org", body: string(make([]byte, 4096)), recipients: []string{"joe@loc.example.org"},
		}
		messages = append(messages, m)
	}
	r.until(b, "the end of the scan", func() bool { return !r.s.scan.running })
	for _, m := range messages {
		r.host.queue(b, m)
	}
	b.ResetTimer()
	begun := cpuTime(b)
	for _, m := range messages {
		r.spool.announce(m)
	}
	r.untilEmpty(b)
	b.ReportMetric(float64((cpuTime(b)-begun).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRemoteDelivery is messages with one remote recipient each, for as many
// domains, from announcement to removal.
func BenchmarkRemoteDelivery(b *testing.B) {
	for _, domains := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d domains", domains), func(b *testing.B) { benchRemote(b, domains) })
	}
}

func benchRemote(b *testing.B, domains int) {
	r := newRig(b, newHost(b, map[string]string{"concurrencyremote": "100\n"}), newManualClock())
	countIn(b, r.s)
	r.connect()
	connectAgent(b, r.s, remote, 0, always(spawn.Success, "192.0.2.1 accepted message.\nRemote host said: 250 ok\n"))
	var messages []testMessage
	for i := range b.N {
		messages = append(messages, testMessage{
			id:     queuedir.NewID(testStart.Add(-time.Duration(i)*time.Microsecond), 0, i),
			sender: "sender@example.org", body: string(make([]byte, 4096)), recipients: []string{fmt.Sprintf("joe@d%d.example.org", i%domains)},
		})
	}
	r.until(b, "the end of the scan", func() bool { return !r.s.scan.running })
	for _, m := range messages {
		r.host.queue(b, m)
	}
	b.ResetTimer()
	begun := cpuTime(b)
	for _, m := range messages {
		r.spool.announce(m)
	}
	r.untilEmpty(b)
	b.ReportMetric(float64((cpuTime(b)-begun).Microseconds())/float64(b.N), "cpu-us/op")
}
