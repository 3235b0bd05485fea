package queuecheck

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/priv"
	"postrider/internal/queuedir"
)

// queue is a queue of the tests' user.
type queue struct {
	t *testing.T
	queuedir.Layout
}

// newQueue lays out an empty queue.
func newQueue(t *testing.T) *queue {
	t.Helper()
	home := t.TempDir()
	q := &queue{t, queuedir.At(home)}
	for _, e := range priv.Tree() {
		if e.Path != "queue" && !strings.HasPrefix(e.Path, belowQ) {
			continue
		}
		path := filepath.Join(home, e.Path)
		if e.File {
			q.must(os.WriteFile(path, nil, 0o600))
		} else {
			q.must(os.Mkdir(path, 0o700))
		}
		q.must(os.Chmod(path, e.Mode))
	}
	return q
}

func (q *queue) must(err error) {
	q.t.Helper()
	if err != nil {
		q.t.Fatal(err)
	}
}

// put writes a file below the queue, with the mode that it has there.
func (q *queue) put(path, text string) {
	q.t.Helper()
	mode := fs.FileMode(0o640)
	if strings.HasPrefix(path, "info/") {
		mode = 0o600
	}
	q.must(os.WriteFile(q.Root+"/"+path, []byte(text), mode))
	q.must(os.Chmod(q.Root+"/"+path, mode))
}

func (q *queue) exists(path string) bool {
	_, err := os.Lstat(q.Root + "/" + path)
	return err == nil
}

func (q *queue) rename(from, to string) {
	q.t.Helper()
	q.must(os.Rename(q.Root+"/"+from, q.Root+"/"+to))
}
func (q *queue) remove(path string) { q.t.Helper(); q.must(os.Remove(q.Root + "/" + path)) }

// number is that of a message of some moments ago.
func number(n int) queuedir.ID { return queuedir.NewID(time.Now(), n/queuedir.Buckets, n) }

// parts are the files of a message to two recipients.
func parts(t *testing.T, body string) (entry, outside string) {
	t.Helper()
	from, err := address.New("s@example.org")
	if err != nil {
		t.Fatal(err)
	}
	envelope := queuedir.AppendHead(nil, queuedir.Head{Sender: from, Arrived: time.Now()})
	for _, r := range []string{"a@example.org", "b@example.org"} {
		to, err := address.New(r)
		if err != nil {
			t.Fatal(err)
		}
		envelope = queuedir.AppendRecipient(envelope, to)
	}
	footer := queuedir.Footer{
		Inline: len(body) <= queuedir.MaxInlineBody, BodySize: int64(len(body)), EnvelopeSize: int64(len(envelope)),
		BodyCRC: queuedir.Checksum(0, []byte(body)),
	}
	tail := string(queuedir.AppendFooter(envelope, footer, queuedir.Checksum(0, envelope)))
	if footer.Inline {
		return body + tail, ""
	}
	return tail, body
}

const short = "Subject: x\n\nx\n"

func long() string { return strings.Repeat("text\n", 20_000) }

// message puts one into the queue.
func (q *queue) message(n int, body string) queuedir.ID {
	q.t.Helper()
	id := number(n)
	entry, outside := parts(q.t, body)
	if outside != "" {
		q.put("new/"+id.Bucket()+"/"+id.String()+".body", outside)
	}
	q.put("new/"+id.Bucket()+"/"+id.String(), entry)
	return id
}

// dropText is a file of drop/.
func dropText(damaged bool) string {
	const content = short + "Fs@example.org\x00Ta@example.org\x00\x00"
	crc := queuedir.Checksum(0, []byte(content))
	if damaged {
		crc++
	}
	return string(queuedir.AppendDropFooter([]byte(content), queuedir.DropFooter{BodySize: int64(len(short)), EnvelopeSize: int64(len(content) - len(short))}, crc))
}

// config checks as the tests' user.
func (q *queue) config() Config {
	uids := make(map[string]uint32)
	for _, u := range priv.Users() {
		uids[u.Name] = uint32(os.Geteuid())
	}
	return Config{
		Layout: q.Layout, Owners: Owners{UIDs: uids}, Clock: clock.Real(),
		Pause: func(time.Duration) { q.t.Error("waited, though nobody works on the queue") },
	}
}

// check returns what is found: level, kind and path, in order of the paths.
func (q *queue) check(config Config) (found []string, all []Finding, sum Summary) {
	q.t.Helper()
	config.Report = func(f Finding) error {
		line := fmt.Sprintf("%v %s %s", f.Level, f.Kind, f.Path)
		if f.Mended != "" {
			line += ": " + f.Mended
		}
		if f.What == "" || f.Becomes == "" || f.Do == "" {
			q.t.Errorf("%s: something is left unsaid: %+v", line, f)
		}
		found, all = append(found, line), append(all, f)
		return nil
	}
	sum, err := Run(config)
	q.must(err)
	slices.Sort(found)
	return found, all, sum
}

// holds compares what is found with what is to be.
func (q *queue) holds(config Config, want ...string) Summary {
	q.t.Helper()
	got, _, sum := q.check(config)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		q.t.Errorf("found\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return sum
}

func (q *queue) fifo(path string) { q.t.Helper(); q.must(unix.Mkfifo(q.Root+"/"+path, 0o640)) }

// later is a clock that is ahead.
type later struct{ by time.Duration }

func (l later) Now() time.Time { return time.Now().Add(l.by) }

func (later) At(time.Time) (<-chan time.Time, func()) { return nil, func() {} }
