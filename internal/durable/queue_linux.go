package durable

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxQueued is how many syncs are under way at a time.
const maxQueued = 128

// syncQueue has the kernel sync many files at the same time (io_submit(2),
// IOCB_CMD_FSYNC), without a thread of ours for each. Results are those of
// fsync(2). One goroutine at a time uses it.
type syncQueue struct {
	context uintptr
	eventFD uint32   // counts syncs that have ended
	ready   *os.File // the same
}

// iocb and ioEvent are the kernel's structures (linux/aio_abi.h).
type iocb struct {
	data     uint64 // which sync
	key      [2]uint32
	opcode   uint16
	priority int16
	fd       uint32
	buf      uint64
	nbytes   uint64
	offset   int64
	_        uint64
	flags    uint32
	notifyFD uint32
}

type ioEvent struct {
	data uint64
	obj  uint64
	res  int64 // 0, or a negative errno
	res2 int64
}

const (
	opcodeFsync = 2 // IOCB_CMD_FSYNC
	flagNotify  = 1 // IOCB_FLAG_RESFD
)

// openSyncQueue returns nil where the kernel, or a filter, has no such thing.
func openSyncQueue() *syncQueue {
	q := &syncQueue{}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, maxQueued, uintptr(unsafe.Pointer(&q.context)), 0); errno != 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0) // unused
		return nil
	}
	q.eventFD, q.ready = uint32(fd), os.NewFile(uintptr(fd), "eventfd")
	return q
}

// sync makes all durable, and returns the first error when all have ended.
func (q *syncQueue) sync(what []Syncer) error {
	var failure error
	for len(what) > 0 {
		n := min(len(what), maxQueued)
		if err := q.some(what[:n]); err != nil && failure == nil {
			failure = err
		}
		what = what[n:]
	}
	return failure
}

// some syncs as many as the queue takes at a time.
func (q *syncQueue) some(what []Syncer) error {
	requests := make([]iocb, 0, len(what))
	pointers := make([]*iocb, 0, len(what))
	var failure error
	for i, s := range what {
		fd, ok := descriptorOf(s)
		if !ok {
			if err := s.Sync(); err != nil {
				failure = err
			}
			continue
		}
		requests = append(requests, iocb{
			data: uint64(i), opcode: opcodeFsync, fd: uint32(fd), flags: flagNotify, notifyFD: q.eventFD,
		})
		pointers = append(pointers, &requests[len(requests)-1])
	}
	submitted := q.submit(pointers)
	for _, r := range requests[submitted:] { // memory is short: one by one
		if err := what[r.data].Sync(); err != nil && failure == nil {
			failure = err
		}
	}
	if err := q.collect(what, submitted); err != nil && failure == nil {
		failure = err
	}
	return failure
}

// descriptorOf returns the descriptor of a real file.
func descriptorOf(s Syncer) (int, bool) {
	switch f := s.(type) {
	case *systemFile:
		return f.fd, true
	case *systemDir:
		return f.fd, true
	case *os.File:
		fd := -1
		if raw, err := f.SyscallConn(); err == nil {
			// Fails only for a closed file, which fd then shows.
			_ = raw.Control(func(n uintptr) { fd = int(n) })
		}
		return fd, fd >= 0
	}
	return 0, false
}

// submit hands requests to the kernel and returns how many it took.
func (q *syncQueue) submit(requests []*iocb) int {
	taken := 0
	for taken < len(requests) {
		n, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, q.context, uintptr(len(requests)-taken),
			uintptr(unsafe.Pointer(&requests[taken])))
		switch errno {
		case 0:
			taken += int(n)
		case unix.EINTR:
		default:
			return taken
		}
	}
	return taken
}

// collect waits until n syncs have ended and returns the first error.
func (q *syncQueue) collect(what []Syncer, n int) error {
	var failure error
	events := make([]ioEvent, n)
	for n > 0 {
		var count [8]byte
		least := 0
		if _, err := q.ready.Read(count[:]); err != nil {
			least = n // wait here: nobody may close a file whose sync is under way
		}
		got := q.ended(events[:n], least)
		for _, e := range got {
			if err := resultOf(what[e.data], e.res); err != nil && failure == nil {
				failure = err
			}
		}
		n -= len(got)
	}
	return failure
}

// resultOf is what the kernel's result of a sync means.
func resultOf(s Syncer, res int64) error {
	if res != 0 {
		return pathError("fsync", nameOf(s), unix.Errno(-res))
	}
	if dir, ok := s.(*systemDir); ok {
		return dir.confirm()
	}
	return nil
}

// ended returns the results that are there, at least so many.
func (q *syncQueue) ended(events []ioEvent, least int) []ioEvent {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.context, uintptr(least), uintptr(len(events)),
			uintptr(unsafe.Pointer(&events[0])), 0, 0)
		if errno == 0 {
			return events[:n]
		}
		// EINTR: what the eventfd has counted is there and not counted again.
	}
}

func nameOf(s Syncer) string {
	switch f := s.(type) {
	case *systemFile:
		return f.name
	case *systemDir:
		return f.name
	case *os.File:
		return f.Name()
	}
	return ""
}
