package control

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

const (
	maxLine = 64 << 10 // no address, host name or rule is as long
	maxFile = 64 << 20 // a list of a million domains has room
)

// fault is a problem inside a file.
func (d Dir) fault(name string, line int, problem string) error {
	return Faults{{d.path(name), line, problem}}
}

func (d Dir) path(name string) string { return string(d) + "/" + name }

// read returns what is in a file, or present == false if there is none.
func (d Dir) read(name string, limit int) (text string, present bool, err error) {
	fd, err := open(d.path(name))
	if err == syscall.ENOENT {
		missing, err := d.missing(name)
		if missing || err != nil {
			return "", false, err
		}
		if fd, err = open(d.path(name)); err != nil {
			return "", false, &os.PathError{Op: "open", Path: d.path(name), Err: err}
		}
	} else if err != nil {
		return "", false, &os.PathError{Op: "open", Path: d.path(name), Err: err}
	}
	defer syscall.Close(fd)
	text, err = readAll(fd, limit)
	if err != nil {
		return "", false, &os.PathError{Op: "read", Path: d.path(name), Err: err}
	}
	return text, true, nil
}

// missing says whether a name that could not be opened is really absent from a
// directory that is really there (invariant 2).
func (d Dir) missing(name string) (bool, error) {
	if _, err := os.Lstat(d.path(name)); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if _, err := os.Stat(string(d)); err != nil {
		return false, err
	}
	return true, nil
}

// open does not use package os, which would start the network poller for a
// descriptor that does not block.
func open(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// readAll reads to the end. The size that fstat tells is a first guess only:
// the file may be growing.
func readAll(fd, limit int) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return "", err
	}
	if kind := st.Mode & syscall.S_IFMT; kind == syscall.S_IFIFO || kind == syscall.S_IFSOCK {
		return "", errors.New("is a pipe or socket, not a file")
	}
	buf := make([]byte, 0, 512+min(max(st.Size, 0), int64(limit)))
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return "", err
		case n == 0:
			return string(buf), nil
		default:
			buf = buf[:len(buf)+n]
		}
		if len(buf) > limit {
			return "", errors.New("longer than " + strconv.Itoa(limit) + " bytes")
		}
	}
}
