package progress

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/durable"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// manyOrders are more messages than are made durable each by itself, and an order
// to hold them. Every other one has a progress file already.
func manyOrders(t *testing.T, h host) (batch []Edit, before map[queuedir.ID]string) {
	t.Helper()
	ask := &Order{Order: manage.Order{Kind: manage.Hold, Text: "trouble"}, From: root, At: testStart}
	before = make(map[queuedir.ID]string)
	for i := range 2*editGroup + 7 {
		m := testMessage{
			id: queuedir.NewID(testStart.Add(time.Duration(i)*time.Microsecond), 0, i/20), sender: "s@x.org", body: "x",
			recipients: []string{"joe@loc.example.org", "jim@loc.example.org"},
		}
		h.queue(t, m)
		if i%2 == 0 {
			before[m.id] = string(queuedir.AppendDelivered(nil, []int{1}))
			if err := os.WriteFile(h.layout.Info(m.id), []byte(before[m.id]), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(h.layout.Info(m.id), testStart, testStart); err != nil {
				t.Fatal(err)
			}
		}
		batch = append(batch, Edit{Order: ask, Target: manage.Target{ID: m.id}})
	}
	return batch, before
}

// heldOnes counts the messages of a batch whose progress files say that they are
// held, and fails if such a file has lost anything.
func heldOnes(t *testing.T, h host, batch []Edit, before map[queuedir.ID]string) (held int) {
	t.Helper()
	for _, e := range batch {
		p, err := Read(h.layout, e.ID, 2)
		if err != nil {
			t.Fatal(err)
		}
		if p.Held {
			held++
		}
		want := 0
		if before[e.ID] != "" {
			want = 1
			if info, err := os.Stat(h.layout.Info(e.ID)); err != nil || !info.ModTime().Equal(testStart) {
				t.Errorf("%s: the time of the next attempt is another: %v", e.ID, err)
			}
		}
		if p.Delivered != want {
			t.Errorf("%s: %d are delivered, want %d", e.ID, p.Delivered, want)
		}
	}
	return held
}

// One sync of the file system serves a large batch, after the last of its changes
// and before any answer.
func TestOrdersForManyShareASync(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	batch, before := manyOrders(t, h)
	syncs := 0
	rec.group = durable.NewGroup(func() error {
		syncs++
		if n := heldOnes(t, h, batch, before); n != len(batch) {
			t.Errorf("synced when %d of %d were written", n, len(batch))
		}
		return nil
	})
	for _, d := range (editor{recorder: rec, due: testStart}).edit(batch) {
		if d.Outcome != 0 || !d.Held || d.file != nil {
			t.Errorf("%s: %q %s", d.ID, d.Outcome, d.Why)
		}
	}
	if syncs != 1 {
		t.Errorf("%d syncs of the file system", syncs)
	}
}

// Where such a sync cannot be relied on each file has its own.
func TestOrdersForManyWhereFilesAreSynced(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	rec.group = durable.FileGroup() // which panics if it is to sync everything
	batch, before := manyOrders(t, h)
	for _, d := range (editor{recorder: rec, due: testStart}).edit(batch) {
		if d.Outcome != 0 || d.file != nil {
			t.Errorf("%s: %q %s", d.ID, d.Outcome, d.Why)
		}
	}
	if n := heldOnes(t, h, batch, before); n != len(batch) {
		t.Errorf("%d of %d are held", n, len(batch))
	}
}

// If the sync fails nothing is said to be done, what was written is taken back,
// and a later order for the same messages is one of its own.
func TestOrdersForManyAreTakenBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	failing := true
	rec.group = durable.NewGroup(func() error {
		if failing {
			return errDisk
		}
		return nil
	})
	batch, before := manyOrders(t, h)
	w := editor{recorder: rec, due: testStart}
	for _, d := range w.edit(batch) {
		if d.Outcome != manage.Later {
			t.Errorf("%s: %q %s", d.ID, d.Outcome, d.Why)
		}
	}
	if n := heldOnes(t, h, batch, before); n != 0 {
		t.Errorf("%d are held in spite of that", n)
	}
	failing = false
	for _, d := range w.edit(batch) {
		if d.Outcome != 0 {
			t.Errorf("the second time: %s: %q %s", d.ID, d.Outcome, d.Why)
		}
	}
	if n := heldOnes(t, h, batch, before); n != len(batch) {
		t.Errorf("the second time %d of %d are held", n, len(batch))
	}
}

// What cannot be done for one message is nothing to the others.
func TestOrdersForManyOneByOne(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	rec.group = durable.NewGroup(func() error { return nil })
	batch, _ := manyOrders(t, h)
	gone, broken, last := batch[3].ID, batch[5].ID, batch[len(batch)-1].ID
	if err := errors.Join(os.Remove(h.layout.Entry(gone)), os.Mkdir(h.layout.Info(broken), 0o700), os.Remove(h.layout.Entry(last))); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	want := map[queuedir.ID]manage.Outcome{gone: manage.Missing, broken: manage.Later, last: manage.Missing}
	for _, d := range (editor{recorder: rec, due: testStart}).edit(batch) {
		if d.Outcome != want[d.ID] {
			t.Errorf("%s: %q %s, want %q", d.ID, d.Outcome, d.Why, want[d.ID])
		}
	}
}

// A message is deleted whatever its progress file is, which a huge one keeps from
// everything else.
func TestDeleteOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec, err := OpenRecorder(h.layout)
	if err != nil {
		t.Fatal(err)
	}
	m := testMessage{id: id(1), sender: "s@x.org", body: "x", recipients: []string{"joe@loc.example.org"}}
	h.queue(t, m)
	if err := os.WriteFile(h.layout.Info(m.id), bytes.Repeat([]byte("x"), 17<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[manage.Kind]manage.Outcome{manage.Hold: manage.Later, manage.Delete: 0} {
		ask := &Order{Order: manage.Order{Kind: kind}, From: root, At: testStart}
		d := editor{recorder: rec, due: testStart}.edit([]Edit{{Order: ask, Target: manage.Target{ID: m.id}}})[0]
		if d.Outcome != want || want == manage.Later && !strings.Contains(d.Why, queuedir.ErrHuge.Error()) {
			t.Errorf("%c: %q %s", kind, d.Outcome, d.Why)
		}
	}
}
