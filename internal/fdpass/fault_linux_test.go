package fdpass

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"postrider/internal/faulttest"
)

// soon is long enough for a call to be tried.
const soon = 50 * time.Millisecond

// A kernel that is short of memory ends no connection: who can wait does, and who
// cannot is told that nothing was sent.
func TestShortageIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENOMEM, unix.ENOBUFS, unix.ETOOMANYREFS} {
		a, b := pair(t)
		faulttest.Run(t, unix.SYS_SENDMSG, errno, func() {
			if sent, err := a.TrySend([]byte("x")); sent || err != nil {
				t.Errorf("%v: sent %v, %v", errno, sent, err)
			}
			if err := a.SetDeadline(time.Now().Add(soon)); err != nil {
				t.Error(err)
			}
			if err := a.Send([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v: not waited for: %v", errno, err)
			}
		})
		if err := b.Send([]byte("y")); err != nil {
			t.Fatal(err)
		}
		faulttest.Run(t, unix.SYS_RECVMSG, errno, func() {
			if err := a.SetDeadline(time.Now().Add(soon)); err != nil {
				t.Error(err)
			}
			if _, _, err := a.Receive(make([]byte, 1), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v: not waited for: %v", errno, err)
			}
		})
		if err := a.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		if n, _, err := a.Receive(buf, 0); n != 1 || buf[0] != 'y' || err != nil {
			t.Errorf("%v: afterwards %d bytes, %v", errno, n, err)
		}
	}
}

// A deadline that is over while somebody waits for a packet, or for room for one,
// is told as such.
func TestDeadlineWhileWaiting(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	packet := make([]byte, MaxPacket)
	for sent := true; sent; {
		var err error
		if sent, err = a.TrySend(packet); err != nil {
			t.Fatal(err)
		}
	}
	for name, try := range map[string]func() error{
		"send":    func() error { return a.Send(packet) },
		"receive": func() error { _, _, err := a.Receive(make([]byte, 1), 0); return err },
	} {
		if err := a.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
		if err := try(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who waits for a kernel that is short of memory asks now and then, and not all the
// time.
func TestShortageCostsNoTime(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	for call, try := range map[uint32]func() error{
		unix.SYS_SENDMSG: func() error { return a.Send([]byte("x")) },
		unix.SYS_RECVMSG: func() error { _, _, err := a.Receive(make([]byte, 1), 0); return err },
	} {
		faulttest.Run(t, call, unix.ENOMEM, func() {
			if err := a.SetDeadline(time.Now().Add(10 * soon)); err != nil {
				t.Error(err)
			}
			begun := used(t)
			if err := try(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("call %d: %v", call, err)
			}
			if took := used(t) - begun; took > soon/2 {
				t.Errorf("call %d: %v of the processor while there was nothing to do", call, took)
			}
		})
	}
}

// used is the processor time of this thread.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Error(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Any other error ends it, and says what was attempted.
func TestErrorsNameTheCall(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(filepath.Join(t.TempDir(), "l"), 0o600, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		call  uint32
		said  string
		try   func() error
		errno unix.Errno
	}{
		{unix.SYS_SENDMSG, "sendmsg", func() error { return a.Send([]byte("x")) }, unix.EIO},
		{unix.SYS_SENDMSG, "sendmsg", func() error { _, err := a.TrySend([]byte("x")); return err }, unix.EIO},
		{unix.SYS_RECVMSG, "recvmsg", func() error { _, _, err := a.Receive(nil, 0); return err }, unix.EIO},
		{unix.SYS_IOCTL, "ioctl", func() error { _, err := a.Untaken(); return err }, unix.EIO},
		{unix.SYS_SOCKETPAIR, "socketpair", func() error { _, _, err := Pair(unix.SOCK_STREAM); return err }, unix.EMFILE},
		{unix.SYS_SOCKET, "socket", func() error { _, err := Dial(path); return err }, unix.EMFILE},
		{unix.SYS_SOCKET, "socket", func() error { _, err := Listen(path, 0o600, 1); return err }, unix.EMFILE},
		{unix.SYS_CONNECT, "connect to " + path, func() error { _, err := Dial(path); return err }, unix.EACCES},
		{unix.SYS_BIND, "bind " + path, func() error { _, err := Listen(path, 0o600, 1); return err }, unix.ENOSPC},
		{unix.SYS_FCHMODAT, "chmod " + path, func() error { _, err := Listen(path, 0o600, 1); return err }, unix.EPERM},
		{unix.SYS_LISTEN, "listen on " + path, func() error { _, err := Listen(path, 0o600, 1); return err }, unix.EADDRINUSE},
		{unix.SYS_ACCEPT4, "accept", func() error { _, err := Accept(l); return err }, unix.EMFILE},
		{unix.SYS_GETSOCKOPT, "getsockopt SO_PEERCRED", func() error { _, err := PeerUID(l); return err }, unix.EIO},
		{unix.SYS_FCNTL, "(f) is not open", func() error { _, err := Inherit(0, "f"); return err }, unix.EBADF},
		{unix.SYS_FCNTL, "bad file descriptor", func() error { _, err := NewPackets(file); return err }, unix.EBADF},
	} {
		faulttest.Run(t, c.call, c.errno, func() {
			if err := c.try(); !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.said) {
				t.Errorf("%s: %v", c.said, err)
			}
		})
	}
}

// What fails on the way leaves no socket open. Not parallel: sockets are counted.
func TestFailuresLeaveNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for call, try := range map[uint32]func() error{
		unix.SYS_CONNECT:  func() error { _, err := Dial(path); return err },
		unix.SYS_BIND:     func() error { _, err := Listen(path, 0o600, 1); return err },
		unix.SYS_FCHMODAT: func() error { _, err := Listen(path, 0o600, 1); return err },
		unix.SYS_LISTEN:   func() error { _, err := Listen(path, 0o600, 1); return err },
	} {
		before := faulttest.Open(t, "socket:")
		faulttest.Run(t, call, unix.EPERM, func() {
			if err := try(); !errors.Is(err, unix.EPERM) {
				t.Errorf("call %d: %v", call, err)
			}
		})
		if after := faulttest.Open(t, "socket:"); len(after) != len(before) {
			t.Errorf("call %d fails: %d sockets before, %d after", call, len(before), len(after))
		}
	}
}

// A file that is none is an error everywhere, and no panic.
func TestNoFile(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	none := &Packets{}
	for name, try := range map[string]func() error{
		"packets":    func() error { _, err := NewPackets(nil); return err },
		"send":       func() error { return none.Send([]byte("x")) },
		"file":       func() error { return a.Send([]byte("x"), nil) },
		"receive":    func() error { _, _, err := none.Receive(make([]byte, 1), 0); return err },
		"untaken":    func() error { _, err := none.Untaken(); return err },
		"accept":     func() error { _, err := Accept(nil); return err },
		"peer":       func() error { _, err := PeerUID(nil); return err },
		"descriptor": func() error { _, err := Descriptor(nil); return err },
		"number":     func() error { _, err := none.Descriptor(); return err },
	} {
		if err := try(); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of what comes beside the data only descriptors are taken, and what is cut is an
// error.
func TestControlMessages(t *testing.T) {
	t.Parallel()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	credentials := unix.UnixCredentials(&unix.Ucred{Pid: int32(os.Getpid())})
	for name, c := range map[string]struct {
		oob   []byte
		files int
		fails bool
	}{
		"nothing": {nil, 0, false}, "credentials": {credentials, 0, false}, "cut": {credentials[:unix.SizeofCmsghdr+4], 0, true},
		"both": {append(append([]byte{}, credentials...), unix.UnixRights(fds[0], fds[1])...), 2, false},
	} {
		files, err := receivedFiles(c.oob)
		if len(files) != c.files || (err != nil) != c.fails {
			t.Errorf("%s: %d descriptors, %v", name, len(files), err)
		}
		CloseAll(files)
	}
}

// An empty packet is the end, whatever came with it, and keeps nothing open.
func TestEmptyPacketWithADescriptor(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	to, err := a.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	from, err := Descriptor(w)
	if err != nil {
		t.Fatal(err)
	}
	// Not by Send: to a packet that has none it adds a byte.
	oob := unix.UnixRights(from)
	message := unix.Msghdr{Control: &oob[0]}
	message.SetControllen(len(oob))
	if _, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(to), uintptr(unsafe.Pointer(&message)), 0); errno != 0 {
		t.Fatal(errno)
	}
	w.Close()
	if n, files, err := b.Receive(make([]byte, 1), 1); n != 0 || files != nil || err != io.EOF {
		t.Fatalf("%d, %v, %v", n, files, err)
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its descriptor stays open: %v", err)
	}
}

// A process whose table is full is told of that with the data, and the link goes
// on.
func TestFullTable(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if err := a.Send([]byte("x"), w, w); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	// The two lowest numbers that are free are those that would be used.
	first, err := unix.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(first)
	less := limit
	less.Cur = uint64(first + 1)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	n, files, err := b.Receive(buf, 2)
	if restoreErr := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restoreErr != nil {
		t.Fatal(restoreErr)
	}
	if n != 1 || buf[0] != 'x' || len(files) != 0 || err != ErrShortage {
		t.Errorf("a full table: %d bytes, %d descriptors, %v", n, len(files), err)
	}
	n, files, err = b.Receive(buf, 2)
	if n != 1 || len(files) != 2 || err != nil {
		t.Errorf("afterwards: %d bytes, %d descriptors, %v", n, len(files), err)
	}
	CloseAll(files)
	if _, err := r.Read(buf); err != io.EOF {
		t.Errorf("a descriptor of the lost ones stays open: %v", err)
	}
}

// Sockets that are made here block nobody and go to nobody else; what is received
// goes to nobody else.
func TestDescriptorsAreOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, 0o600, 1)
	if err != nil {
		t.Fatal(err)
	}
	dialled, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	one, other, err := Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{"listening": l, "dialled": dialled, "accepted": accepted, "one": one, "other": other} {
		defer f.Close()
		fd, err := Descriptor(f)
		if err != nil {
			t.Fatal(err)
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s goes to whoever is started: %v", name, err)
		}
		if flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s blocks: %v", name, err)
		}
	}
	a, b := pair(t)
	if err := a.Send([]byte("x"), one); err != nil {
		t.Fatal(err)
	}
	_, files, err := b.Receive(make([]byte, 1), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(files)
	fd, err := Descriptor(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("a received one goes to whoever is started: %v", err)
	}
}

// A socket that was received blocks until it has a reader of packets, and then
// obeys deadlines.
func TestPacketsMakeNonblocking(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	p, err := NewPackets(os.NewFile(uintptr(fds[0]), "received"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if fd, err := p.Descriptor(); err != nil || fd != fds[0] {
		t.Errorf("descriptor %d, %v", fd, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("it blocks: %v", err)
	}
	if untaken, err := p.Untaken(); untaken || err != nil {
		t.Errorf("untaken %v, %v", untaken, err)
	}
}

// The longest packet and the most descriptors are sent, and one more of either is
// not.
func TestLimits(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	files := make([]*os.File, MaxFiles+1)
	for i := range files {
		files[i] = os.Stdin
	}
	for _, c := range []struct {
		size, files int
		want        error
	}{{MaxPacket, MaxFiles, nil}, {MaxPacket + 1, 0, ErrTooLarge}, {0, MaxFiles + 1, ErrTooLarge}, {MaxPacket + 1, MaxFiles + 1, ErrTooLarge}} {
		if sent, err := a.TrySend(make([]byte, c.size), files[:c.files]...); sent != (c.want == nil) || err != c.want {
			t.Errorf("%d bytes, %d descriptors: sent %v, %v", c.size, c.files, sent, err)
		}
	}
}
