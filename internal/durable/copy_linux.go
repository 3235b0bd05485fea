package durable

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyPiece is how much the kernel is asked to copy at a time: what is copied
// is on its way to the disk while the rest is being copied.
const copyPiece = 2 << 20

// ReadFrom appends all of r. A real file, or a section of one, is copied by the
// kernel, which shares the blocks where the file system can.
func (f *systemFile) ReadFrom(r io.Reader) (int64, error) {
	section, ok := r.(*io.SectionReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{f}, r)
	}
	outer, at, size := section.Outer()
	source, ok := outer.(*os.File)
	if !ok {
		return io.Copy(struct{ io.Writer }{f}, r)
	}
	done, err := f.copyRange(source, at, size)
	if done == 0 && err != nil { // other file systems, old kernels
		return io.Copy(struct{ io.Writer }{f}, r)
	}
	return done, err
}

func (f *systemFile) copyRange(source *os.File, at, size int64) (done int64, err error) {
	raw, err := source.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		for done < size {
			n := 0
			n, err = retryFD(func() (int, error) {
				return unix.CopyFileRange(int(fd), &at, f.fd, nil, int(min(size-done, copyPiece)), 0)
			})
			if err != nil || n == 0 {
				break
			}
			done += int64(n)
			if err = f.Flush(); err != nil {
				break
			}
		}
	})
	if err == nil {
		err = controlErr
	}
	if err == nil && done < size {
		err = io.ErrUnexpectedEOF
	}
	return done, pathError("copy_file_range", f.name, err)
}
