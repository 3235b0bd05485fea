package enqueue

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// dropMode lets qmail-spool read: the directory gives the file its group.
const dropMode = 0o640

// dropSink writes a message into drop/, from where qmail-spool takes it when
// it is back.
type dropSink struct {
	dir     string
	hidden  string
	visible string
	fd      int
	footer  queuedir.DropFooter
	crc     uint32
	buf     []byte // not yet written
}

const dropBuffer = 32 << 10

// createDrop begins a file that nobody looks at yet.
func createDrop(home string, nonce queuedir.Nonce) (*dropSink, error) {
	if _, err := os.Stat(home); err != nil {
		return nil, failure(ExitHome, "enter "+home, err)
	}
	var name [16]byte
	if err := random(name[:]); err != nil {
		return nil, failure(ExitWrite, "get random bytes", err)
	}
	d := &dropSink{dir: queuedir.At(home).Drop() + "/", footer: queuedir.DropFooter{Nonce: nonce}}
	d.hidden, d.visible = queuedir.DropName(name)
	var err error
	d.fd, err = unix.Open(d.dir+d.hidden, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, dropMode)
	if err != nil {
		return nil, failure(ExitQueue, "create a file in "+d.dir, err)
	}
	// Whatever the caller's umask is.
	if err := unix.Fchmod(d.fd, dropMode); err != nil {
		d.abort()
		return nil, failure(ExitQueue, "create a file in "+d.dir, err)
	}
	return d, nil
}

func (d *dropSink) write(kind byte, p []byte) error {
	size := &d.footer.EnvelopeSize
	if kind == submit.Message {
		size = &d.footer.BodySize
	}
	*size += int64(len(p))
	if d.footer.BodySize+d.footer.EnvelopeSize > queuedir.MaxDrop-int64(queuedir.DropFooterSize) {
		return failure(ExitWrite, "write into "+d.dir, unix.EFBIG)
	}
	d.crc = queuedir.Checksum(d.crc, p)
	d.buf = append(d.buf, p...)
	if len(d.buf) < dropBuffer {
		return nil
	}
	return d.flush()
}

func (d *dropSink) flush() error {
	for len(d.buf) > 0 {
		n, err := unix.Write(d.fd, d.buf)
		if err != nil && err != unix.EINTR {
			return failure(ExitWrite, "write into "+d.dir, err)
		}
		d.buf = d.buf[max(n, 0):]
	}
	d.buf = nil
	return nil
}

// commit makes the file visible and durable; until then it counts as nothing.
func (d *dropSink) commit() (string, error) {
	d.buf = queuedir.AppendDropFooter(d.buf, d.footer, d.crc)
	err := d.flush()
	if err == nil {
		err = unix.Rename(d.dir+d.hidden, d.dir+d.visible)
	}
	if err == nil {
		err = d.sync()
	}
	if err == nil {
		err = unix.Close(d.fd)
		d.fd = -1
	}
	if err != nil {
		d.abort()
		return "", failure(ExitWrite, "write into "+d.dir, err)
	}
	return strconv.Itoa(os.Getpid()), nil
}

// sync makes content and name durable. The directory cannot be opened by
// those who may only write into it, so that it takes a sync of more than it.
func (d *dropSink) sync() error {
	if err := unix.Fsync(d.fd); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return err
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		return unix.Syncfs(d.fd)
	}
	unix.Sync()
	return nil
}

// abort removes the file under whichever name it has.
func (d *dropSink) abort() {
	for _, name := range []string{d.hidden, d.visible} {
		_ = unix.Unlink(d.dir + name) // what stays qmail-spool looks at, and removes
	}
	if d.fd >= 0 {
		_ = unix.Close(d.fd) // abandoned
		d.fd = -1
	}
}
