package qmailsend

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/clients"
	"postrider/qmail-send/progress"
)

// manageSocket lets a scheduler listen, and returns where.
func manageSocket(t *testing.T, s *scheduler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 100)); err != nil {
		t.Fatal(err)
	}
	s.attachManage(os.NewFile(uintptr(fd), path), nil)
	return path
}

func dial(t *testing.T, path string) *manage.Client {
	t.Helper()
	c, err := manage.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestManageSocket has an operator look at a message and delete it.
func TestManageSocket(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org")
	c := dial(t, manageSocket(t, r.s))
	var states []manage.State
	list := func() {
		t.Helper()
		states = nil
		if err := c.List(func(some []manage.State) error { states = append(states, some...); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	list()
	if len(states) != 1 || states[0].ID != m.id || states[0].Phase != manage.Deferred || states[0].Attempts != 1 || states[0].Next == 0 {
		t.Errorf("states: %+v", states)
	}
	files, err := c.Describe([]queuedir.ID{id(5), m.id})
	if err != nil || files[0] != nil || files[1] == nil {
		t.Fatalf("files: %v, %v", files, err)
	}
	defer files[1].Close()
	entry, err := queuedir.HandedEntry(m.id, files[1].Entry, files[1].Body)
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	body, err := entry.Bytes()
	if err != nil || string(body) != m.body {
		t.Errorf("body %q, %v", body, err)
	}
	if text, err := io.ReadAll(files[1].Progress); err != nil || !strings.Contains(string(text), "not now") {
		t.Errorf("progress %q, %v", text, err)
	}
	if _, err := files[1].Entry.Write([]byte("x")); err == nil {
		t.Error("a client can write to an entry")
	}
	if _, err := files[1].Progress.Write([]byte("x")); err == nil {
		t.Error("a client can write to a progress file")
	}
	var results []manage.Result
	order := manage.Order{Kind: manage.Delete, Targets: []manage.Target{{ID: m.id}, {ID: id(5)}}}
	if err := c.Change(order, func(some []manage.Result) error { results = append(results, some...); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, res := range results {
		if (res.Outcome == manage.Done) != (res.ID == m.id) {
			t.Errorf("%+v", res)
		}
	}
	if list(); len(states) != 0 || len(results) != 2 {
		t.Errorf("afterwards: %+v, %+v", states, results)
	}
	if err := c.Scan(); err != nil {
		t.Error(err)
	}
}

// TestManageLarge hands over a message whose body is a file of its own.
func TestManageLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"concurrencylocal": "0\n"}), newManualClock())
	r.connect()
	m := testMessage{id: id(1), sender: "s@x.org", body: strings.Repeat("x", 100<<10), recipients: []string{"z@loc.example.org"}}
	r.spool.accept(m)
	r.until(t, "the message", func() bool { return len(r.s.messages) == 1 })
	files, err := dial(t, manageSocket(t, r.s)).Describe([]queuedir.ID{m.id})
	if err != nil || files[0] == nil {
		t.Fatal(err)
	}
	defer files[0].Close()
	entry, err := queuedir.HandedEntry(m.id, files[0].Entry, files[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	for range 2 { // each time from its beginning
		f, err := entry.Body()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil || string(text) != m.body {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	}
}

// TestManageUsers: what a user may is decided by the uid of the connection.
func TestManageUsers(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org")
	g := clients.New(r.s.loop(), r.s, nil)
	ask := func(c progress.Client, q manage.Question) (answers []manage.Answer, files int) {
		t.Helper()
		ours, theirs := pair(t)
		server, err := fdpass.NewPackets(theirs)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		packets, err := fdpass.NewPackets(ours)
		if err != nil {
			t.Fatal(err)
		}
		defer packets.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.Converse(c, server)
		}()
		if err := packets.Send(q.Append(nil)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, manage.MaxPacket)
		for {
			n, got, err := packets.Receive(buf, fdpass.MaxFiles)
			if err != nil {
				t.Fatal(err)
			}
			fdpass.CloseAll(got)
			files += len(got)
			a, err := manage.DecodeAnswer(buf[:n])
			if err != nil {
				t.Fatal(err)
			}
			if a.Kind == manage.Files {
				if err := packets.Send([]byte{manage.Taken}); err != nil {
					t.Fatal(err)
				}
			}
			if answers = append(answers, a); a.Kind == manage.End || a.Kind == manage.Refusal {
				packets.Close()
				<-done
				return answers, files
			}
		}
	}
	describe := manage.Question{Kind: manage.Describe, IDs: []queuedir.ID{m.id}}
	hold := manage.Question{Kind: manage.Change, Order: manage.Order{Kind: manage.Hold, Targets: []manage.Target{{ID: m.id}}}}
	if a, _ := ask(stranger, manage.Question{Kind: manage.List}); len(a) != 1 {
		t.Errorf("a stranger's list: %+v", a)
	}
	if a, _ := ask(owner, manage.Question{Kind: manage.List}); len(a) != 2 || len(a[0].States) != 1 {
		t.Errorf("the owner's list: %+v", a)
	}
	if a, files := ask(stranger, describe); files != 0 || a[0].Found[0] {
		t.Errorf("a stranger is handed %d files", files)
	}
	if a, files := ask(owner, describe); files != 3 || !a[0].Found[0] {
		t.Errorf("the owner is handed %d files", files)
	}
	for _, q := range []manage.Question{hold, {Kind: manage.Scan}} {
		if a, _ := ask(owner, q); a[0].Kind != manage.Refusal {
			t.Errorf("%q of a user: %+v", q.Kind, a)
		}
	}
	for _, kind := range []byte{'?', manage.Taken} {
		if a, _ := ask(owner, manage.Question{Kind: kind}); a[0].Kind != manage.Refusal {
			t.Errorf("nonsense: %+v", a)
		}
	}
}
