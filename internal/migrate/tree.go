package migrate

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxFile is the largest file that is read, maxNames the most names of a
	// directory.
	maxFile  = 64 << 20
	maxNames = 1 << 20
	maxTries = 10
)

// Tree is the files of a machine, or of a copy of one: absolute names, and links
// with absolute names, are those below its root.
type Tree struct {
	root string
	dir  *os.File
}

// OpenTree returns the tree below a root, "/" for that of this machine.
func OpenTree(root string) (*Tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Tree{root, dir}, nil
}

// Close forgets the tree.
func (t *Tree) Close() error { return t.dir.Close() }

// IsCopy says that it is not the tree of this machine.
func (t *Tree) IsCopy() bool { return t.root != "/" }

// Outside is the name by which this machine has a file.
func (t *Tree) Outside(name string) string { return filepath.Join(t.root, name) }

// Inside is the name that a file of this machine has in the tree, if it is in it.
func (t *Tree) Inside(name string) (inside string, found bool) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", false
	}
	if t.root == "/" {
		return name, true
	}
	rest, found := strings.CutPrefix(name, t.root)
	return path.Join("/", rest), found && (rest == "" || rest[0] == '/')
}

// Open opens a file without following a link out of the tree, and without
// waiting for whoever might write into a FIFO.
func (t *Tree) Open(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH != 0 {
		how.Flags = uint64(flags | unix.O_CLOEXEC)
	}
	var fd int
	var err error
	for range maxTries {
		fd, err = unix.Openat2(int(t.dir.Fd()), path.Join("/", name), &how)
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: something was renamed meanwhile
			break
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: t.Outside(name), Err: err}
	}
	return os.NewFile(uintptr(fd), t.Outside(name)), nil
}

// Read returns the text of a regular file.
func (t *Tree) Read(name string) (string, error) {
	text, _, err := t.ReadMode(name)
	return text, err
}

// ReadMode is Read, with the mode of the file.
func (t *Tree) ReadMode(name string) (text string, mode uint32, err error) {
	f, err := t.Open(name, unix.O_RDONLY)
	if err != nil {
		return "", 0, err
	}
	defer f.Close() // was only read
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", 0, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "", 0, fmt.Errorf("%s is no plain file", f.Name())
	case st.Size > maxFile:
		return "", 0, fmt.Errorf("%s is larger than %d bytes", f.Name(), maxFile)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, maxFile+1)); err != nil {
		return "", 0, err
	}
	if b.Len() > maxFile {
		return "", 0, fmt.Errorf("%s is larger than %d bytes", f.Name(), maxFile)
	}
	return b.String(), st.Mode, nil
}

// Stat is stat(2) in the tree.
func (t *Tree) Stat(name string, st *unix.Stat_t) error {
	f, err := t.Open(name, unix.O_PATH)
	if err != nil {
		return err.(*os.PathError).Err
	}
	defer f.Close()
	return unix.Fstat(int(f.Fd()), st)
}

// Real is the name by which this machine has a file, with no link in it. It is
// that of Outside for one that is not there.
func (t *Tree) Real(name string) string {
	f, err := t.Open(name, unix.O_PATH)
	if err != nil {
		return t.Outside(name)
	}
	defer f.Close()
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return t.Outside(name)
	}
	return real
}

// Names returns the names in a directory, in order.
func (t *Tree) Names(dir string) ([]string, error) {
	f, err := t.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxNames + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) > maxNames {
		return nil, fmt.Errorf("%s has more than %d names", f.Name(), maxNames)
	}
	slices.Sort(names)
	return names, nil
}
