package figures

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seals keep an area as large as it is: who maps it is never sent a signal for
// what another process has done to the file.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// NewArea makes an area, with all of its memory, so that counting never needs any.
func NewArea(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate("figures "+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "figures "+name)
	err = os.NewSyscallError("fallocate", unix.Fallocate(fd, 0, 0, int64(here.size)))
	if err == nil {
		// Who has it read-only cannot open it anew for more.
		err = os.NewSyscallError("fchmod", unix.Fchmod(fd, 0o600))
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		err = os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	if err != nil {
		_ = f.Close() // of no use
		return nil, err
	}
	return f, nil
}

// ReadOnly opens an area once more, so that nothing can be written through what
// it returns.
func ReadOnly(f *os.File) (reader *os.File, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		reader, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY, 0)
	})
	return reader, errors.Join(controlErr, err)
}

// mapArea maps an area of this layout.
func mapArea(f *os.File, write bool) (words []uint64, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var mapped []byte
	controlErr := raw.Control(func(fd uintptr) { mapped, err = mapSealed(int(fd), write) })
	if err := errors.Join(controlErr, err); err != nil {
		return nil, err
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mapped[0])), len(mapped)/wordSize), nil
}

func mapSealed(fd int, write bool) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_GET_SEALS", err)
	}
	if got&seals != seals || st.Size != int64(here.size) {
		return nil, fmt.Errorf("an area of %d bytes with the seals %#x, not one of %d with %#x", st.Size, got, here.size, seals)
	}
	protection := unix.PROT_READ
	if write {
		protection |= unix.PROT_WRITE
	}
	mapped, err := unix.Mmap(fd, 0, here.size, protection, unix.MAP_SHARED)
	return mapped, os.NewSyscallError("mmap", err)
}
