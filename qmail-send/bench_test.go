package qmailsend

import (
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
