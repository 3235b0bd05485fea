package fdpass

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// Nothing that is closed, too large or no socket is sent or received.
func TestWhatIsNone(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := a.Send(make([]byte, MaxPacket+1)); err != ErrTooLarge {
		t.Errorf("a large packet: %v", err)
	}
	if err := a.Send([]byte("x"), make([]*os.File, MaxFiles+1)...); err != ErrTooLarge {
		t.Errorf("many descriptors: %v", err)
	}
	if err := a.Send([]byte("x"), closed); err == nil {
		t.Error("a closed descriptor was sent")
	}
	files := make([]*os.File, MaxFiles)
	for i := range files {
		files[i] = os.Stdin
	}
	if err := a.Send(make([]byte, MaxPacket), files...); err != nil {
		t.Errorf("the largest packet: %v", err)
	}
	if n, got, err := b.Receive(make([]byte, MaxPacket), MaxFiles); n != MaxPacket || len(got) != MaxFiles || err != nil {
		t.Errorf("%d bytes, %d descriptors, %v", n, len(got), err)
	} else {
		CloseAll(got)
	}
	if _, err := NewPackets(closed); err == nil {
		t.Error("packets on a closed file")
	}
	if _, err := PeerUID(closed); err == nil {
		t.Error("a peer of a closed file")
	}
	if _, err := Accept(closed); err == nil {
		t.Error("a connection on a closed file")
	}
	if _, err := Descriptor(closed); err == nil {
		t.Error("a descriptor of a closed file")
	}
	a.Close()
	if err := a.Send([]byte("x")); err == nil {
		t.Error("sent on a closed socket")
	}
	if _, _, err := a.Receive(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("received on a closed socket: %v", err)
	}
	if _, err := a.Untaken(); err == nil {
		t.Error("asked a closed socket")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := PeerUID(null); !errors.Is(err, unix.ENOTSOCK) {
		t.Errorf("peer of a file: %v", err)
	}
	if _, _, err := Pair(-1); err == nil {
		t.Error("a pair of another kind")
	}
}

// An empty packet is the end: no protocol has one.
func TestEmptyPacketIsTheEnd(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	if err := a.Send(nil); err != nil {
		t.Fatal(err)
	}
	if n, files, err := b.Receive(make([]byte, 1), 1); n != 0 || files != nil || err != io.EOF {
		t.Errorf("%d, %v, %v", n, files, err)
	}
}

// A peer that leaves what was sent to it has ended, and not failed.
func TestPeerLeavesUnread(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	if err := a.Send([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if untaken, err := a.Untaken(); !untaken || err != nil {
		t.Errorf("untaken %v, %v", untaken, err)
	}
	b.Close()
	if _, _, err := a.Receive(make([]byte, 1), 0); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	if err := a.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Receive(make([]byte, 1), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("received: %v", err)
	}
}

// Inherit makes a descriptor one that obeys deadlines and goes to nobody else.
func TestInherit(t *testing.T) {
	t.Parallel()
	var fds [2]int
	if err := unix.Pipe2(fds[:], 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	f, err := Inherit(fds[0], "pipe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Errorf("deadline: %v", err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if fd, err := Descriptor(f); fd != fds[0] || err != nil {
		t.Errorf("descriptor %d, %v", fd, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0); flags != unix.FD_CLOEXEC || err != nil {
		t.Errorf("flags %d, %v", flags, err)
	}
	if _, err := Inherit(1<<20, "nothing"); !errors.Is(err, unix.EBADF) {
		t.Errorf("nothing: %v", err)
	}
}

func TestIsPacketSocket(t *testing.T) {
	t.Parallel()
	fd := func(f *os.File) int {
		t.Cleanup(func() { f.Close() })
		n, err := Descriptor(f)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	packets, _, err := Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	stream, _, err := Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	inet, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inet)
	for name, c := range map[string]struct {
		fd   int
		want bool
	}{"packets": {fd(packets), true}, "stream": {fd(stream), false}, "file": {fd(null), false}, "network": {inet, false}, "nothing": {1 << 20, false}} {
		if got := IsPacketSocket(c.fd); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Where no socket can be, that is said, and nothing is left open.
func TestListenAndDialFail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Dial(filepath.Join(dir, "none")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("dial nobody: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, "none", "s"), 0o600, 1); !errors.Is(err, unix.ENOENT) {
		t.Errorf("listen nowhere: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "full"), 0o600, 1); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("listen in the place of a directory: %v", err)
	}
	path := filepath.Join(dir, "s")
	l, err := Listen(path, 0o640, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for n := 0; ; n++ {
		c, err := Dial(path)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				t.Errorf("dial a full backlog: %v", err)
			}
			break
		}
		defer c.Close()
		if n > 10 {
			t.Fatal("the backlog is never full")
		}
	}
	null, err := os.Open(filepath.Join(dir, "full"))
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := Accept(null); err == nil {
		t.Error("a connection on a directory")
	}
}
