package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"postrider/internal/address"
	"postrider/internal/queuedir"
)

// preload puts messages into the queue of the stopped suite that were tried
// once and wait for days: as many files as if they had been sent, in a
// fraction of the time.
func (t *turn) preload(ctx context.Context, n int) error {
	w, err := newPreloader(queuedir.At(t.y.host.Path("/var/qmail")))
	if err != nil {
		return err
	}
	for i := range n {
		if err := errors.Join(ctx.Err(), w.message(i)); err != nil {
			return err
		}
	}
	return t.y.run("sync", "-f", "/home")
}

// preloader writes entries and progress files as the spool and the scheduler
// write them.
type preloader struct {
	layout        queuedir.Layout
	spool, sender owner
	arrived, next time.Time
	body          []byte
	progress      []byte
	from, to      address.Address
}

type owner struct{ uid, gid int }

func newPreloader(layout queuedir.Layout) (*preloader, error) {
	spool, err1 := ownerOf(layout.NewDir(queuedir.BucketName(0)))
	sender, err2 := ownerOf(layout.InfoDir(queuedir.BucketName(0)))
	to, err3 := address.New("x@dead.test")
	from, err4 := address.New("s@client.test")
	body := "Received: by bench.test\nSubject: waits\n\n" + strings.Repeat(strings.Repeat("x", 63)+"\n", smallSize/64)
	now := time.Now()
	tried := queuedir.AppendTried(nil, []int{0}, now.Add(-time.Hour), "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n")
	return &preloader{
		layout: layout, spool: spool, sender: sender, arrived: now.Add(-time.Hour), next: now.Add(72 * time.Hour),
		body: []byte(body), progress: tried, from: from, to: to,
	}, errors.Join(err1, err2, err3, err4)
}

func ownerOf(dir string) (owner, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return owner{}, fmt.Errorf("%s: %w", dir, err)
	}
	return owner{int(st.Uid), int(st.Gid)}, nil
}

// inARow is how many entries the spool puts into one directory, one after another.
const inARow = 64

// message writes message number i: an entry in the form of queuedir/entry.go,
// and a progress file that says why it waits, whose mtime is the next attempt.
func (w *preloader) message(i int) error {
	arrived := w.arrived.Add(time.Duration(i) * time.Microsecond)
	id := queuedir.NewID(arrived, 0, i/inARow)
	head := queuedir.Head{Sender: w.from, Arrived: arrived}
	_, _ = rand.Read(head.Nonce[:]) // never fails
	envelope := queuedir.AppendRecipient(queuedir.AppendHead(nil, head), w.to)
	footer := queuedir.Footer{
		Inline: true, BodySize: int64(len(w.body)), EnvelopeSize: int64(len(envelope)), BodyCRC: queuedir.Checksum(0, w.body),
	}
	entry := append(append([]byte(nil), w.body...), envelope...)
	entry = queuedir.AppendFooter(entry, footer, queuedir.Checksum(0, envelope))
	if err := write(w.layout.Entry(id), entry, 0o640, w.spool); err != nil {
		return err
	}
	info := w.layout.Info(id)
	if err := write(info, w.progress, 0o600, w.sender); err != nil {
		return err
	}
	return os.Chtimes(info, w.next, w.next)
}

func write(name string, data []byte, mode os.FileMode, o owner) error {
	return errors.Join(os.WriteFile(name, data, mode), os.Chown(name, o.uid, o.gid))
}
