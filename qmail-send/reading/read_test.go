package reading

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/queuedir"
	"postrider/internal/route"
)

// routesOf returns the routes of a host with one local domain.
func routesOf(t *testing.T) *route.Table {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"me": "me.example.org\n", "locals": "loc.example.org\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	routes, err := route.Read(control.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func addressOf(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// queued puts a message into a queue of its own.
func queued(t *testing.T, sender string, recipients []string) (queuedir.Layout, queuedir.ID) {
	t.Helper()
	l, at := queuedir.At(t.TempDir()), time.Date(2026, 11, 22, 0, 37, 36, 0, time.UTC)
	id := queuedir.NewID(at, 0, 1)
	envelope := queuedir.AppendHead(nil, queuedir.Head{Sender: addressOf(t, sender), UID: 1000, Arrived: at})
	for _, r := range recipients {
		envelope = queuedir.AppendRecipient(envelope, addressOf(t, r))
	}
	entry := queuedir.AppendFooter(append([]byte("x\n"), envelope...), queuedir.Footer{
		Inline: true, BodySize: 2, EnvelopeSize: int64(len(envelope)), BodyCRC: queuedir.Checksum(0, []byte("x\n")),
	}, queuedir.Checksum(0, envelope))
	err := errors.Join(os.MkdirAll(filepath.Dir(l.Entry(id)), 0o700), os.MkdirAll(filepath.Dir(l.Info(id)), 0o700), os.WriteFile(l.Entry(id), entry, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return l, id
}

// However many recipients there are, few are in memory; each is read once, with
// those of its host, and none that is finished.
func TestSections(t *testing.T) {
	t.Parallel()
	var recipients []string
	for i := range 1000 {
		recipients = append(recipients, fmt.Sprintf("u%d@%s", i, []string{"a.test", "loc.example.org", "b.test"}[i%3]))
	}
	l, id := queued(t, "s@x.test", recipients)
	if err := os.WriteFile(l.Info(id), queuedir.AppendDelivered(nil, []int{0, 2, 999}), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Load(l, id, true, true, routesOf(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Entry.Close()
	read := make(map[int]bool)
	take := func(s Section) {
		t.Helper()
		n := 0
		for _, g := range s.Groups {
			n += len(g.Recipients)
			for _, r := range g.Recipients {
				if read[r.Index] || r.Shown != recipients[r.Index] || r.Refused != "" || g.Host != "" && route.DomainOf(r.Shown) != g.Host {
					t.Errorf("%+v is read for %q", r, g.Host)
				}
				read[r.Index] = true
			}
		}
		if n == 0 || n > maxRecipients {
			t.Errorf("a section has %d recipients", n)
		}
	}
	for c, s := range m.Sections {
		if take(s); route.Channel(c) == route.Remote && len(s.Groups) != 2 {
			t.Errorf("%d groups of two hosts", len(s.Groups))
		}
		for cursor := m.Guide.Cursor(m.Entry, route.Channel(c), m.Progress.Finished); s.More; take(s) {
			if s, err = cursor.Next(s.Next); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(read) != 997 || read[0] || read[2] || read[999] {
		t.Errorf("%d recipients are read", len(read))
	}
}

// A sender that is expanded is so for each recipient, alone.
func TestExpanded(t *testing.T) {
	t.Parallel()
	l, id := queued(t, "list-@x.test-@[]", []string{"u@a.test", "v@a.test"})
	m, err := Load(l, id, false, true, routesOf(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Entry.Close()
	groups := m.Sections[route.Remote].Groups
	if !m.Guide.VERP || len(groups) != 2 || groups[1].Recipients[0].Sender.String() != "list-v=a.test@x.test" {
		t.Errorf("%+v", groups)
	}
}

// What is not whole is said to be so.
func TestTornEntry(t *testing.T) {
	t.Parallel()
	l, id := queued(t, "s@x.test", []string{"u@a.test"})
	if err := os.Truncate(l.Entry(id), 20); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(l, id, false, true, routesOf(t)); !errors.Is(err, queuedir.ErrTorn) && !errors.Is(err, queuedir.ErrDamaged) {
		t.Errorf("a torn entry: %v", err)
	}
}
