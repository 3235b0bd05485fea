package qmaillocal

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
)

// message is the message of one delivery, or of several: nobody moves the
// offset of file but a program that got it for want of a better.
type message struct {
	file  *os.File // nil: bytes is all of it
	size  int64
	bytes []byte
}

// messageOf returns the message of a job.
func messageOf(m spawn.Message) (*message, error) {
	if m.ByFile {
		return newMessage(m.File)
	}
	return &message{bytes: m.Bytes}, nil
}

func newMessage(f *os.File) (*message, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("message is no plain file")
	}
	return &message{file: f, size: info.Size()}, nil
}

// length is how many bytes the message has.
func (m *message) length() int64 {
	if m.file == nil {
		return int64(len(m.bytes))
	}
	return m.size
}

// reader returns a reader from the beginning.
func (m *message) reader() io.Reader {
	if m.file == nil {
		return bytes.NewReader(m.bytes)
	}
	return io.NewSectionReader(m.file, 0, m.size)
}

// forProgram returns the message as a program's standard input: at offset 0,
// seekable, and where that is allowed an open file of its own, so that
// what one program and its children do to the offset disturbs no other.
func (m *message) forProgram() (f *os.File, done func(), err error) {
	if m.file == nil {
		if f, err = queuedir.Memfd(m.bytes); err != nil {
			return nil, nil, err
		}
		return f, func() { _ = f.Close() }, nil
	}
	raw, err := m.file.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	err = raw.Control(func(fd uintptr) { f, _ = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	if err != nil {
		return nil, nil, err
	}
	if f != nil {
		return f, func() { _ = f.Close() }, nil
	}
	if _, err := m.file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	return m.file, func() {}, nil
}

func unreadable(err error) error {
	return temporary("read message", err, "Unable to read message: %s. (#4.3.0)", reason(err))
}
