package fdpass

import (
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxPacket is the most bytes, MaxFiles the most descriptors a packet of ours
// carries. The kernel's own limit of descriptors is 253.
const (
	MaxPacket = 64 << 10
	MaxFiles  = 64
)

// ErrTruncated is returned for a packet that did not fit into the reader's
// buffer or carried more descriptors than the reader expects.
var ErrTruncated = errors.New("packet was cut: it is larger than the protocol allows")

// ErrShortage is returned for a packet whose descriptors this process had no
// numbers for. It is our trouble, not the peer's: the data is whole.
var ErrShortage = errors.New("too many open files: the descriptors of a packet are lost")

// ErrTooLarge is returned for a packet that is too large to send.
var ErrTooLarge = errors.New("packet is larger than the protocol allows")

// Packets sends and receives packets on a SOCK_SEQPACKET socket. One
// goroutine may send while another receives.
type Packets struct {
	f   *os.File
	oob []byte
}

// NewPackets returns Packets on f, which it owns from now on. f must be
// non-blocking (Pair, Inherit); one received through a packet is made so.
func NewPackets(f *os.File) (*Packets, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var nonblockErr error
	if err := raw.Control(func(fd uintptr) { nonblockErr = unix.SetNonblock(int(fd), true) }); err != nil {
		return nil, err
	}
	if nonblockErr != nil {
		return nil, nonblockErr
	}
	return &Packets{f: f, oob: make([]byte, unix.CmsgSpace(MaxFiles*4))}, nil
}

// Send sends data with files as one packet, waiting while the peer's queue is
// full. The files stay the caller's. A vanished peer is EPIPE.
func (p *Packets) Send(data []byte, files ...*os.File) error {
	_, err := p.send(data, files, true)
	return err
}

// TrySend is Send without waiting: sent is false when the queue is full.
func (p *Packets) TrySend(data []byte, files ...*os.File) (sent bool, err error) {
	return p.send(data, files, false)
}

func (p *Packets) send(data []byte, files []*os.File, wait bool) (bool, error) {
	if len(data) > MaxPacket || len(files) > MaxFiles {
		return false, ErrTooLarge
	}
	oob, err := rights(files)
	if err != nil {
		return false, err
	}
	raw, err := p.f.SyscallConn()
	if err != nil {
		return false, err
	}
	for {
		sent, err := sendOnce(raw, data, oob, wait)
		if !isShort(err) {
			// The descriptors must stay open until the kernel has copied them.
			keepOpen(files)
			return sent, err
		}
		if !wait {
			return false, nil
		}
		time.Sleep(shortPause)
	}
}

// shortPause is between two tries while the kernel is short of memory.
const shortPause = 10 * time.Millisecond

// isShort tells a shortage of the kernel's from the end of a connection: the
// packet was not sent, or is still there, and nobody would make another
// connection between two processes that live.
func isShort(err error) bool {
	return errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ETOOMANYREFS)
}

func sendOnce(raw syscall.RawConn, data, oob []byte, wait bool) (bool, error) {
	var sendErr error
	err := raw.Write(func(fd uintptr) bool {
		for {
			sendErr = unix.Sendmsg(int(fd), data, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if sendErr != unix.EINTR {
				break
			}
		}
		return sendErr != unix.EAGAIN || !wait
	})
	switch {
	case err != nil:
		return false, err
	case sendErr == unix.EAGAIN:
		return false, nil
	case sendErr != nil:
		return false, os.NewSyscallError("sendmsg", sendErr)
	}
	return true, nil
}

// Untaken tells whether the peer has yet to receive a packet that was sent.
func (p *Packets) Untaken() (bool, error) {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return false, err
	}
	var n int
	var callErr error
	if err := raw.Control(func(fd uintptr) { n, callErr = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return false, err
	}
	return n > 0, os.NewSyscallError("ioctl", callErr)
}

func rights(files []*os.File) ([]byte, error) {
	if len(files) == 0 {
		return nil, nil
	}
	fds := make([]int, len(files))
	for i, f := range files {
		// Not f.Fd(): that would make the file blocking.
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return nil, err
		}
	}
	return unix.UnixRights(fds...), nil
}

func keepOpen(files []*os.File) {
	for _, f := range files {
		runtime.KeepAlive(f)
	}
}

// Receive waits for a packet and returns its length in buf and its
// descriptors, at most maxFiles. The end of the connection is io.EOF. With
// ErrShortage the length is returned, too, and the next packet can be received.
func (p *Packets) Receive(buf []byte, maxFiles int) (int, []*os.File, error) {
	for {
		n, files, err := p.receiveOnce(buf, maxFiles)
		if !isShort(err) {
			return n, files, err
		}
		time.Sleep(shortPause)
	}
}

func (p *Packets) receiveOnce(buf []byte, maxFiles int) (int, []*os.File, error) {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return 0, nil, err
	}
	var n, oobn, flags int
	var recvErr error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, _, recvErr = unix.Recvmsg(int(fd), buf, p.oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
			if recvErr != unix.EINTR {
				break
			}
		}
		return recvErr != unix.EAGAIN
	})
	if err == nil && recvErr != nil {
		if errors.Is(recvErr, unix.ECONNRESET) {
			return 0, nil, io.EOF // the peer left with packets of ours unread
		}
		err = os.NewSyscallError("recvmsg", recvErr)
	}
	if err != nil {
		return 0, nil, err
	}
	files, err := receivedFiles(p.oob[:oobn])
	if err == nil {
		err = whole(flags, len(files), maxFiles)
	}
	if err != nil {
		CloseAll(files)
		if err != ErrShortage {
			n = 0
		}
		return n, nil, err
	}
	// Our protocols have no empty packets: zero bytes is the end.
	if n == 0 {
		CloseAll(files)
		return 0, nil, io.EOF
	}
	return n, files, nil
}

// whole tells whether all of a packet arrived. The kernel leaves out
// descriptors for two reasons: our buffer is full, or our table is.
func whole(flags, files, maxFiles int) error {
	switch {
	case flags&unix.MSG_TRUNC != 0, files > maxFiles:
		return ErrTruncated
	case flags&unix.MSG_CTRUNC == 0:
		return nil
	case files >= MaxFiles:
		return ErrTruncated
	}
	return ErrShortage
}

func receivedFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not descriptors: nothing to close
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// CloseAll closes files. They were received and not written to, so that their
// close has no result that matters.
func CloseAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// SetDeadline bounds both directions; the zero time lifts it.
func (p *Packets) SetDeadline(t time.Time) error { return p.f.SetDeadline(t) }

// Descriptor returns the number of the descriptor, which stays p's.
func (p *Packets) Descriptor() (int, error) { return Descriptor(p.f) }

// Close closes the socket and ends a Receive that waits.
func (p *Packets) Close() error { return p.f.Close() }
