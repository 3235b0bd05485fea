package spool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// newDisk is a queue in memory.
func newDisk() *durabletest.Disk {
	dirs := []string{layout.Tmp(), layout.BadUnacked(), layout.Drop()}
	for i := range queuedir.Buckets {
		dirs = append(dirs, layout.NewDir(queuedir.BucketName(i)))
	}
	return durabletest.New(dirs...)
}

func diskStore(d syncTree) *Store {
	return NewStore(d, durable.NewGroup(d.SyncAll), clock.Real(), func(string) {})
}

// sample is a message of each kind that is written differently.
type sample struct {
	name       string
	body       string
	recipients int
}

var samples = []sample{
	{"small", "Subject: x\n\nbody\n", 2},
	{"body of its own", strings.Repeat("x", queuedir.MaxInlineBody+1), 2},
	{"synced alone", strings.Repeat("x", ownSync+1), 2},
	{"streamed envelope", "Subject: x\n\nbody\n", 4000},
	{"streamed both", strings.Repeat("x", ownSync+1), 4000},
}

func (m sample) envelope() string {
	var b strings.Builder
	b.WriteString("Fa@example.org\x00")
	for i := range m.recipients {
		fmt.Fprintf(&b, "Tr%d@example.net\x00", i)
	}
	return b.String() + "\x00"
}

// put commits the sample.
func (m sample) put(s *Store) (entries.Message, error) {
	d, err := s.begin(origin{uid: 1000, text: "by uid 1000"})
	if err != nil {
		return entries.Message{}, err
	}
	for _, step := range []struct {
		take func([]byte) error
		data string
	}{{d.writeText, m.body}, {d.writeEnvelope, m.envelope()}} {
		for p := []byte(step.data); len(p) > 0; {
			n := min(len(p), readBuffer)
			if err := step.take(p[:n]); err != nil {
				d.abort()
				return entries.Message{}, err
			}
			p = p[n:]
		}
	}
	out, err := commit(d, newNonce())
	if err == nil {
		s.settled(out.ID)
	}
	return out, err
}

// check tells whether the entry of id on the disk is this message, whole.
func (m sample) check(d *durabletest.Disk, id queuedir.ID) error {
	entry, err := readAll(d, layout.Entry(id))
	if err != nil {
		return err
	}
	if len(entry) < queuedir.FooterSize {
		return queuedir.ErrTorn
	}
	footer, err := queuedir.ParseFooter(entry[len(entry)-queuedir.FooterSize:])
	if err != nil {
		return err
	}
	body, env := "", string(entry[:len(entry)-queuedir.FooterSize])
	if footer.Inline {
		if int64(len(env)) < footer.BodySize {
			return queuedir.ErrTorn
		}
		body, env = env[:footer.BodySize], env[footer.BodySize:]
	} else {
		outside, err := readAll(d, layout.Body(id))
		if err != nil {
			return err
		}
		body = string(outside)
	}
	_, content, _ := strings.Cut(body, "\n")
	crc := queuedir.Checksum(queuedir.Checksum(0, []byte(env)), entry[len(entry)-queuedir.FooterSize:len(entry)-9])
	switch {
	case content != m.body || queuedir.Checksum(0, []byte(body)) != footer.BodyCRC:
		return errors.New("body differs")
	case crc != footer.CRC || int64(len(env)) != footer.EnvelopeSize:
		return errors.New("envelope differs")
	case strings.Count(env, "T") != m.recipients:
		return errors.New("recipients differ")
	}
	return nil
}

func readAll(d *durabletest.Disk, name string) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// visible returns the entries in new/.
func visible(d *durabletest.Disk) (ids []queuedir.ID) {
	for name := range d.Files() {
		if id, ok := idOf(name); ok && strings.HasPrefix(name, "new/") && !strings.HasSuffix(name, queuedir.BodySuffix) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Whichever operation fails, the submitter is told, nothing is visible, and
// the next message is accepted (P1, R5, R6).
func TestEachOperationFails(t *testing.T) {
	t.Parallel()
	for _, m := range samples {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for i := 0; ; i++ {
				d := newDisk()
				s := diskStore(d)
				d.FailAt(i, syscall.ENOSPC)
				out, err := m.put(s)
				trace := d.Trace()
				d.FailAt(-1, nil)
				if i >= len(trace) {
					if err != nil {
						t.Fatalf("untouched run failed: %v", err)
					}
					return
				}
				if err == nil {
					t.Fatalf("operation %d (%s) failed and the message was accepted", i, trace[i])
				}
				var r *refusal
				if !errors.As(err, &r) || r.answer().Kind != 'Z' {
					t.Errorf("operation %d (%s): answer is not temporary: %v", i, trace[i], err)
				}
				s.retryDoomed()
				if files := d.Files(); len(files) != 0 {
					t.Fatalf("operation %d (%s) failed: left over: %q", i, trace[i], keys(files))
				}
				if len(s.inflight) != 0 {
					t.Fatalf("operation %d (%s): still in flight", i, trace[i])
				}
				if out, err = m.put(s); err != nil {
					t.Fatalf("after operation %d (%s): %v", i, trace[i], err)
				}
				if err := m.check(d, out.ID); err != nil {
					t.Fatalf("after operation %d (%s): %v", i, trace[i], err)
				}
			}
		})
	}
}

func keys(m map[string]string) (k []string) {
	for name := range m {
		k = append(k, name)
	}
	return k
}

// Whenever the power fails, what was acknowledged is whole, and what was not
// is whole or torn, and told apart.
func TestCrashAfterEachOperation(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	remains := map[string]durabletest.Remains{
		"only synced": durabletest.OnlySynced, "everything": durabletest.Everything,
		"part 1": durabletest.Part(r), "part 2": durabletest.Part(r), "part 3": durabletest.Part(r), "part 4": durabletest.Part(r),
	}
	for _, m := range samples {
		for what, remain := range remains {
			for i := 0; ; i++ {
				d := newDisk()
				s := diskStore(d)
				d.CrashAt(i)
				out, err := m.put(s)
				finished := d.Operations() <= i+1
				after := d.AfterCrash(remain)
				checkAfterCrash(t, fmt.Sprintf("%s, %s, crash after %d", m.name, what, i), after, m, ackedIf(err == nil, out.ID)...)
				if finished {
					break
				}
			}
		}
	}
}

func ackedIf(ok bool, id queuedir.ID) []queuedir.ID {
	if !ok {
		return nil
	}
	return []queuedir.ID{id}
}

func checkAfterCrash(t *testing.T, when string, d *durabletest.Disk, m sample, acked ...queuedir.ID) {
	t.Helper()
	s := diskStore(d)
	if err := s.recover(); err != nil {
		t.Fatalf("%s: recovery: %v", when, err)
	}
	s.sweep()
	ids := visible(d)
	for _, id := range acked {
		if err := m.check(d, id); err != nil {
			t.Fatalf("%s: acknowledged entry: %v", when, err)
		}
	}
	for _, id := range ids {
		err := m.check(d, id)
		torn := errors.Is(err, queuedir.ErrTorn)
		if err == nil {
			continue
		}
		// What the scheduler finds unreadable it has set aside.
		done := make(chan struct{})
		s.quarantine(id, torn, func() { close(done) })
		if err := s.group.All(s.group.Begin()); err != nil {
			t.Fatalf("%s: not set aside: %v", when, err)
		}
		<-done
	}
	for name := range d.Files() {
		if strings.HasPrefix(name, "tmp/") {
			t.Fatalf("%s: %s survives the start", when, name)
		}
		if id, isID := idOf(name); isID && strings.HasPrefix(name, "new/") {
			if err := m.check(d, id); err != nil {
				t.Fatalf("%s: %s: %v", when, name, err)
			}
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A crash between removal and its sync brings the whole entry back or nothing
// that the next start does not clear away.
func TestCrashDuringRemoval(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for _, m := range samples[:2] {
		for i := 0; ; i++ {
			d := newDisk()
			s := diskStore(d)
			out, err := m.put(s)
			if err != nil {
				t.Fatal(err)
			}
			d.CrashAt(i)
			removed := make(chan struct{})
			s.remove(out.ID, func() { close(removed) })
			if s.group.All(s.group.Begin()) == nil {
				<-removed
			}
			finished := d.Operations() <= i+1
			after := d.AfterCrash(durabletest.Part(r))
			if isClosed(removed) && len(visible(after)) != 0 {
				t.Fatalf("%s: crash after %d: removed, but there is %q", m.name, i, keys(after.Files()))
			}
			checkAfterCrash(t, fmt.Sprintf("%s: crash after %d", m.name, i), after, m, ackedIf(len(visible(after)) > 0, out.ID)...)
			if finished {
				break
			}
		}
	}
}

// syncTree is a disk or something around one.
type syncTree interface {
	durable.Tree
	SyncAll() error
}
