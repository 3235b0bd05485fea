package durable

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// systemTree is the real file operations. It keeps no os.File: those would be
// offered to the poller and get a finalizer, one system call and much garbage
// for each message.
type systemTree struct{ fd int }

// OpenTree returns the file operations below the directory at path. The
// directory stays open for ever.
func OpenTree(path string) (Tree, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return systemTree{fd}, nil
}

func (t systemTree) Create(name string, mode uint32) (File, error) {
	return t.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
}

// Open follows no link in any part of the name: it may be a stranger's.
func (t systemTree) Open(name string) (File, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	how := unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := retryFD(func() (int, error) { return unix.Openat2(t.fd, name, &how) })
	if err == unix.ENOSYS { // a filter that does not know it
		return t.open(name, flags, 0)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &systemFile{fd: fd, name: name}, nil
}

func (t systemTree) open(name string, flags int, mode uint32) (File, error) {
	fd, err := retryFD(func() (int, error) { return unix.Openat(t.fd, name, flags|unix.O_CLOEXEC, mode) })
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &systemFile{fd: fd, name: name}, nil
}

func (t systemTree) Rename(from, to string) error {
	err := retry(func() error { return unix.Renameat2(t.fd, from, t.fd, to, unix.RENAME_NOREPLACE) })
	return linkError("rename", from, to, err)
}

func (t systemTree) Link(from, to string) error {
	err := retry(func() error { return unix.Linkat(t.fd, from, t.fd, to, 0) })
	return linkError("link", from, to, err)
}

func linkError(op, from, to string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: from, New: to, Err: err}
}

func (t systemTree) Unlink(name string) error {
	return pathError("unlink", name, retry(func() error { return unix.Unlinkat(t.fd, name, 0) }))
}

func (t systemTree) Stat(name string) (Info, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(t.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, pathError("stat", name, err)
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Stat_t) Info {
	return Info{
		Size:       st.Size,
		Stored:     st.Blocks * 512,
		ModTime:    time.Unix(st.Mtim.Unix()),
		ChangeTime: time.Unix(st.Ctim.Unix()),
		UID:        st.Uid,
		Links:      uint64(st.Nlink),
		Regular:    st.Mode&unix.S_IFMT == unix.S_IFREG,
	}
}

func (t systemTree) Dir(name string) (Dir, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(t.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &systemDir{fd: fd, name: name}, nil
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

type systemFile struct {
	fd   int
	name string
}

func (f *systemFile) Read(p []byte) (int, error) {
	return f.read(len(p), func() (int, error) { return unix.Read(f.fd, p) })
}

func (f *systemFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := f.read(len(p)-done, func() (int, error) { return unix.Pread(f.fd, p[done:], off+int64(done)) })
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (f *systemFile) read(wanted int, call func() (int, error)) (int, error) {
	n, err := retryFD(call)
	if err != nil {
		return 0, pathError("read", f.name, err)
	}
	if n == 0 && wanted > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *systemFile) Write(p []byte) (int, error) {
	return f.write(len(p), func(done int) (int, error) { return unix.Write(f.fd, p[done:]) })
}

func (f *systemFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(len(p), func(done int) (int, error) { return unix.Pwrite(f.fd, p[done:], off+int64(done)) })
}

// write repeats a short write (R9).
func (f *systemFile) write(size int, call func(done int) (int, error)) (int, error) {
	done := 0
	for done < size {
		n, err := retryFD(func() (int, error) { return call(done) })
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, pathError("write", f.name, err)
		}
		done += n
	}
	return done, nil
}

func (f *systemFile) Flush() error {
	const flags = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE
	return pathError("sync_file_range", f.name, retry(func() error { return unix.SyncFileRange(f.fd, 0, 0, flags) }))
}

func (f *systemFile) Sync() error { return fsync(f.fd, f.name) }

func (f *systemFile) Datasync() error {
	return pathError("fdatasync", f.name, retry(func() error { return unix.Fdatasync(f.fd) }))
}

func fsync(fd int, name string) error {
	return pathError("fsync", name, retry(func() error { return unix.Fsync(fd) }))
}

func (f *systemFile) Info() (Info, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(f.fd, &st) }); err != nil {
		return Info{}, pathError("stat", f.name, err)
	}
	return infoOf(&st), nil
}

func (f *systemFile) Close() error { return closeFD(f.fd, f.name) }

// closeFD does not repeat an interrupted close: Linux has freed the number.
func closeFD(fd int, name string) error {
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return pathError("close", name, err)
	}
	return nil
}

type systemDir struct {
	fd   int
	name string
}

func (d *systemDir) Sync() error {
	if err := fsync(d.fd, d.name); err != nil {
		return err
	}
	return d.confirm()
}

// confirm finds out whether a sync that had no error was one. An XFS that has
// shut itself down (its journal cannot be written any more) drops all changes
// that are not in that, and then says of any directory that there is nothing left
// to sync; only other calls fail. If this one does not, the sync was before that.
func (d *systemDir) confirm() error {
	var st unix.Stat_t
	return pathError("stat after fsync", d.name, retry(func() error { return unix.Fstat(d.fd, &st) }))
}

func (d *systemDir) Close() error { return closeFD(d.fd, d.name) }

func (d *systemDir) Names(visit func(name string) bool) error {
	if _, err := unix.Seek(d.fd, 0, io.SeekStart); err != nil {
		return pathError("seek", d.name, err)
	}
	buf := make([]byte, 8<<10)
	var names []string
	for {
		n, err := retryFD(func() (int, error) { return unix.ReadDirent(d.fd, buf) })
		if err != nil {
			return pathError("readdir", d.name, err)
		}
		if n <= 0 {
			return nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if !visit(name) {
				return nil
			}
		}
	}
}

func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func retryFD(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
