package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"syscall"

	"postrider/internal/durable"
)

const (
	fileMode   = 0o600
	maxTries   = 3 // names that may turn out to be taken
	copyBuffer = 64 << 10
)

// ErrMessage says that the message could not be read.
var ErrMessage = errors.New("unable to read message")

// Folder is one Maildir.
type Folder struct {
	tree  durable.Tree
	group *durable.Group
	names *Names
	// SizeInName makes ",S=SIZE" the end of the names of messages, from which
	// Maildir++ readers learn the size without a look at the file.
	SizeInName bool
}

// NewFolder returns the Maildir whose tmp and new are below tree.
func NewFolder(tree durable.Tree, group *durable.Group, names *Names) *Folder {
	return &Folder{tree: tree, group: group, names: names}
}

// Deliver makes header and message a new file and returns its name below new.
// Its two syncs are shared with the deliveries of the same moment.
func (d *Folder) Deliver(header []byte, message io.Reader) (string, error) {
	ticket := d.group.Begin()
	name, file, err := d.create()
	if err != nil {
		return "", err
	}
	size, err := writeAll(file, header, message)
	if err == nil {
		err = d.group.Wait(ticket, []durable.Syncer{file})
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	final := name
	if d.SizeInName {
		final += ",S=" + strconv.FormatInt(size, 10)
	}
	if err == nil {
		err = d.move(name, final, size)
	}
	if err != nil {
		return "", errors.Join(err, d.unlink("tmp/"+name))
	}
	if err := d.group.Wait(ticket, nil, d.newDir()); err != nil {
		return "", errors.Join(err, d.withdraw(final))
	}
	return final, nil
}

// create makes a file in tmp under a name that is not in use.
func (d *Folder) create() (string, durable.File, error) {
	var err error
	for range maxTries {
		name := d.names.Next()
		var file durable.File
		if file, err = d.tree.Create("tmp/"+name, fileMode); err == nil {
			return name, file, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return "", nil, err
}

// buffers are shared by the deliveries of one process: a small message is
// then one write and no garbage.
var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

func writeAll(file durable.File, header []byte, message io.Reader) (size int64, err error) {
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	if len(header) >= copyBuffer {
		return 0, fmt.Errorf("header lines of %d bytes", len(header))
	}
	used := copy(buf[:], header)
	if to, ok := file.(io.ReaderFrom); ok && isLarge(message) {
		if _, err := file.Write(buf[:used]); err != nil {
			return 0, err
		}
		n, err := to.ReadFrom(message)
		return int64(used) + n, err
	}
	for {
		n, readErr := io.ReadFull(message, buf[used:])
		written, err := file.Write(buf[:used+n])
		size += int64(written)
		if err != nil {
			return size, err
		}
		if readErr == io.EOF || readErr == io.ErrUnexpectedEOF {
			return size, nil
		}
		if readErr != nil {
			return size, fmt.Errorf("%w: %w", ErrMessage, readErr)
		}
		used = 0
	}
}

// isLarge tells whether a message is one that is worth a copy by the kernel.
func isLarge(message io.Reader) bool {
	section, ok := message.(*io.SectionReader)
	return ok && section.Size() > copyBuffer
}

// move gives the file its name in new. Where the file system cannot rename
// without replacing (NFS), link and unlink do the same in two steps.
func (d *Folder) move(name, final string, size int64) error {
	from, to := "tmp/"+name, "new/"+final
	err := d.tree.Rename(from, to)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) {
		if err = d.tree.Link(from, to); err == nil || d.arrived(from, to, size) {
			return d.unlink(from)
		}
		return err
	}
	if err != nil && d.arrived(from, to, size) {
		return d.unlink(from)
	}
	return err
}

// arrived looks whether a rename or link that returned an error has worked:
// the file is in new, and no longer in tmp or the same file.
func (d *Folder) arrived(from, to string, size int64) bool {
	there, err := d.tree.Stat(to)
	if err != nil || !there.Regular || there.Size != size {
		return false
	}
	here, err := d.tree.Stat(from)
	return errors.Is(err, fs.ErrNotExist) || err == nil && here.Links == 2 && there.Links == 2
}

// newDir is where names must become durable: "new/." and not "new", which the
// owner may have made a symbolic link.
func (d *Folder) newDir() durable.Directory { return durable.Directory{Tree: d.tree, Name: "new/."} }

// withdraw takes back a file that is in new but perhaps not durable.
func (d *Folder) withdraw(name string) error {
	return errors.Join(d.unlink("new/"+name), d.newDir().Sync())
}

func (d *Folder) unlink(name string) error {
	err := d.tree.Unlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
