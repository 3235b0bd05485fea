package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"syscall"

	"postrider/internal/durable"
)

const (
	fileMode = 0o600
	maxTries = 3 // names that may turn out to be taken
	// largeMessage is the size from which a message is synced by itself
	// before it joins a group, so that its pages do not hold up the others.
	largeMessage = 256 << 10
	copyBuffer   = 64 << 10
)

// ErrMessage says that the message could not be read.
var ErrMessage = errors.New("unable to read message")

// Folder is one Maildir.
type Folder struct {
	tree  durable.Tree
	group *durable.Group
}

// NewFolder returns the Maildir whose tmp and new are below tree, on a file
// system that is synced by group.
func NewFolder(tree durable.Tree, group *durable.Group) *Folder {
	return &Folder{tree: tree, group: group}
}

// Deliver makes header and message a new file and returns its name below new.
func (d *Folder) Deliver(names *Names, header []byte, message io.Reader) (string, error) {
	ticket := d.group.Begin()
	name, file, err := d.create(names)
	if err != nil {
		return "", err
	}
	size, err := d.fill(ticket, file, header, message)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.move(name, size)
	}
	if err != nil {
		return "", errors.Join(err, d.unlink("tmp/"+name))
	}
	if err := d.settle(ticket); err != nil {
		return "", errors.Join(err, d.withdraw(name))
	}
	return name, nil
}

// create makes a file in tmp under a name that is not in use.
func (d *Folder) create(names *Names) (string, durable.File, error) {
	var err error
	for range maxTries {
		name := names.Next()
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

// fill writes header and message and returns when both are durable.
func (d *Folder) fill(ticket durable.Ticket, file durable.File, header []byte, message io.Reader) (size int64, err error) {
	size, err = writeAll(file, header, message)
	if err != nil {
		return size, err
	}
	if size > largeMessage {
		if err := file.Datasync(); err != nil {
			return size, err
		}
	}
	return size, d.group.Wait(ticket, file)
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

// move gives the file its name in new. Where the file system cannot rename
// without replacing (NFS), link and unlink do the same in two steps.
func (d *Folder) move(name string, size int64) error {
	from, to := "tmp/"+name, "new/"+name
	err := d.tree.Rename(from, to)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) {
		if err = d.tree.Link(from, to); err == nil || d.arrived(name, size) {
			return d.unlink(from)
		}
		return err
	}
	if err != nil && d.arrived(name, size) {
		return d.unlink(from)
	}
	return err
}

// arrived looks whether a rename or link that returned an error has worked:
// the file is in new, and no longer in tmp or the same file.
func (d *Folder) arrived(name string, size int64) bool {
	there, err := d.tree.Stat("new/" + name)
	if err != nil || !there.Regular || there.Size != size {
		return false
	}
	here, err := d.tree.Stat("tmp/" + name)
	return errors.Is(err, fs.ErrNotExist) || err == nil && here.Links == 2 && there.Links == 2
}

// settle makes the name in new durable.
func (d *Folder) settle(ticket durable.Ticket) error {
	// "new/." and not "new": the owner may have made it a symbolic link.
	dir, err := d.tree.Dir("new/.")
	if err != nil {
		return err
	}
	err = d.group.Wait(ticket, dir)
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

// withdraw takes back a file that is in new but perhaps not durable.
func (d *Folder) withdraw(name string) error {
	if err := d.unlink("new/" + name); err != nil {
		return err
	}
	dir, err := d.tree.Dir("new/.")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *Folder) unlink(name string) error {
	err := d.tree.Unlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
