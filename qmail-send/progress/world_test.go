package progress

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/queuedir"
)

var (
	testStart = time.Date(2026, 11, 22, 0, 37, 36, 0, time.UTC)
	errDisk   = errors.New("disk trouble")
	root      = Client{UID: 0, Operator: true}
)

func id(n int) queuedir.ID {
	return queuedir.NewID(testStart.Add(time.Duration(n)*time.Microsecond), n/100, n)
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// host is a queue on disk.
type host struct{ layout queuedir.Layout }

func newHost(t testing.TB) host {
	t.Helper()
	h := host{queuedir.At(t.TempDir())}
	for i := range queuedir.Buckets {
		name := queuedir.BucketName(i)
		if err := errors.Join(os.MkdirAll(h.layout.NewDir(name), 0o700), os.MkdirAll(h.layout.InfoDir(name), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// testMessage is a small message.
type testMessage struct {
	id         queuedir.ID
	sender     string
	body       string
	recipients []string
}

// queue puts m into the queue.
func (h host) queue(t testing.TB, m testMessage) {
	t.Helper()
	envelope := queuedir.AppendHead(nil, queuedir.Head{Sender: addressOf(t, m.sender), UID: 1000, Arrived: m.id.Time()})
	for _, r := range m.recipients {
		envelope = queuedir.AppendRecipient(envelope, addressOf(t, r))
	}
	b := append([]byte(m.body), envelope...)
	b = queuedir.AppendFooter(b, queuedir.Footer{
		Inline: true, BodySize: int64(len(m.body)), EnvelopeSize: int64(len(envelope)),
		BodyCRC: queuedir.Checksum(0, []byte(m.body)),
	}, queuedir.Checksum(0, envelope))
	if err := os.WriteFile(h.layout.Entry(m.id), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func addressOf(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (h host) readInfo(t *testing.T, m testMessage) queuedir.Progress {
	t.Helper()
	p, err := Read(h.layout, m.id, len(m.recipients))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
