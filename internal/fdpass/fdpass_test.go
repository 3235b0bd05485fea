package fdpass

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (a, b *Packets) {
	t.Helper()
	fa, fb, err := Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	a, err = NewPackets(fa)
	if err != nil {
		t.Fatal(err)
	}
	b, err = NewPackets(fb)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestPacketsCarryDescriptors(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := a.Send([]byte("x"), w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	buf := make([]byte, 10)
	n, files, err := b.Receive(buf, 1)
	if err != nil || n != 1 || len(files) != 1 {
		t.Fatalf("got %d bytes, %d files, %v", n, len(files), err)
	}
	if _, err := files[0].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	CloseAll(files)
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "through" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 4)
	if err := a.Send([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Receive(buf, 0); !errors.Is(err, ErrTruncated) {
		t.Errorf("long packet: got %v", err)
	}
	if err := a.Send([]byte("1"), w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, _, err := b.Receive(buf, 0); !errors.Is(err, ErrTruncated) {
		t.Errorf("unexpected descriptor: got %v", err)
	}
	// The refused descriptor was closed: the pipe's last writer is gone.
	if _, err := r.Read(buf); err != io.EOF {
		t.Errorf("refused descriptor stays open: %v", err)
	}
	a.Close()
	if _, _, err := b.Receive(buf, 0); err != io.EOF {
		t.Errorf("end: got %v", err)
	}
	if err := b.Send([]byte("1")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send to nobody: got %v", err)
	}
}

func TestTrySendDoesNotWait(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	packet := make([]byte, 32<<10)
	for range 1000 {
		sent, err := a.TrySend(packet)
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			return
		}
	}
	t.Error("the queue never filled")
}

func TestListenDialAccept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, 0o666, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	uid, err := PeerUID(s)
	if err != nil || uid != uint32(os.Geteuid()) {
		t.Errorf("uid %d, %v", uid, err)
	}
	if _, err := Listen(path, 0o600, 8); err != nil {
		t.Errorf("a left-over socket file is not replaced: %v", err)
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name            string
		flags, files, n int
		want            error
	}{
		{"all", 0, 2, 2, nil},
		{"long packet", unix.MSG_TRUNC, 0, 2, ErrTruncated},
		{"more than asked for", 0, 2, 1, ErrTruncated},
		{"more than the buffer holds", unix.MSG_CTRUNC, MaxFiles, MaxFiles, ErrTruncated},
		{"our table is full", unix.MSG_CTRUNC, 1, 2, ErrShortage},
		{"our table was full before", unix.MSG_CTRUNC, 0, 1, ErrShortage},
		{"unexpected, and our table is full", unix.MSG_CTRUNC, 0, 0, ErrShortage},
		{"long packet, and our table is full", unix.MSG_TRUNC | unix.MSG_CTRUNC, 0, 1, ErrTruncated},
	} {
		if got := whole(tc.flags, tc.files, tc.n); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
