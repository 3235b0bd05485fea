package powercut

import (
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// image is the content of a disk by page; what is missing is zeros. Pages are
// replaced, never changed, so that a copy of the map is a copy of the disk.
type image map[int64][]byte

func (m image) write(at int64, data []byte) {
	for len(data) > 0 {
		page, from := at/pageSize, at%pageSize
		n := min(int64(len(data)), pageSize-from)
		fresh := make([]byte, pageSize)
		copy(fresh, m[page])
		copy(fresh[from:], data[:n])
		m[page] = fresh
		at, data = at+n, data[n:]
	}
}

func (m image) read(p []byte, at int64) {
	for len(p) > 0 {
		page, from := at/pageSize, at%pageSize
		n := min(int64(len(p)), pageSize-from)
		if content := m[page]; content != nil {
			copy(p[:n], content[from:])
		} else {
			clear(p[:n])
		}
		at, p = at+n, p[n:]
	}
}

// readImage takes a file system from a file, without its holes.
func readImage(f *os.File) (image, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	m := make(image)
	for at := int64(0); ; {
		start, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return m, info.Size(), nil
		}
		if err != nil {
			return nil, 0, err
		}
		if at, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE); err != nil {
			return nil, 0, err
		}
		data, err := io.ReadAll(io.NewSectionReader(f, start, at-start))
		if err != nil {
			return nil, 0, err
		}
		m.write(start, data)
	}
}

// blockOp is a write that reached the disk, or a flush of all before it.
type blockOp struct {
	at   int64
	data []byte // nil: a flush
}

// blockDisk is a disk in memory that remembers every write: a file of a FUSE
// file system that is mounted nowhere, for a loop device to be put on.
type blockDisk struct {
	fuse.RawFileSystem
	file *os.File
	size int64

	mu      sync.Mutex
	content image
	log     []blockOp // while keep
	keep    bool
}

const diskNode = 2

// newBlockDisk returns a disk with this content. It ends with the test.
func newBlockDisk(t *testing.T, content image, size int64) *blockDisk {
	t.Helper()
	d := &blockDisk{RawFileSystem: fuse.NewDefaultRawFileSystem(), size: size, content: content}
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mount, err := detachedMount(device)
	if err != nil {
		t.Fatal(err)
	}
	server, err := fuse.NewServer(d, fmt.Sprintf("/dev/fd/%d", device), &fuse.MountOptions{MaxWrite: 512 << 10, DisableXAttrs: true, DisableSplice: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		server.Serve()
		close(ended)
	}()
	fd, err := unix.Openat(mount, "disk", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.file = os.NewFile(uintptr(fd), "disk")
	t.Cleanup(func() {
		d.file.Close()
		unix.Close(mount)
		select {
		case <-ended: // the loop device is gone too
		case <-time.After(soon):
			t.Error("a disk is still in use")
		}
	})
	return d
}

// detachedMount makes a FUSE file system that no name leads to: it is gone
// when nobody has it open.
func detachedMount(device int) (int, error) {
	context, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(context)
	for _, option := range [][2]string{
		{"fd", strconv.Itoa(device)}, {"rootmode", "40000"}, {"user_id", "0"}, {"group_id", "0"},
	} {
		if err := unix.FsconfigSetString(context, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("fsconfig %s: %w", option[0], err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("fsconfig: %w", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return mount, nil
}

// record begins to remember what is written, and returns what there is.
func (d *blockDisk) record() image {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep = true
	return maps.Clone(d.content)
}

// position is how much has been written.
func (d *blockDisk) position() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

func (d *blockDisk) String() string { return "blockdisk" }

func (d *blockDisk) attributes(node uint64, out *fuse.Attr) fuse.Status {
	out.Ino, out.Nlink, out.Blksize = node, 1, pageSize
	if node == fuse.FUSE_ROOT_ID {
		out.Mode = unix.S_IFDIR | 0o700
		return fuse.OK
	}
	out.Mode, out.Size, out.Blocks = unix.S_IFREG|0o600, uint64(d.size), uint64(d.size/sectorSize)
	return fuse.OK
}

func (d *blockDisk) Lookup(_ <-chan struct{}, _ *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if name != "disk" {
		return fuse.ENOENT
	}
	out.NodeId, out.Generation = diskNode, 1
	out.SetEntryTimeout(time.Hour)
	out.SetAttrTimeout(time.Hour)
	return d.attributes(diskNode, &out.Attr)
}

func (d *blockDisk) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.SetTimeout(time.Hour)
	return d.attributes(in.NodeId, &out.Attr)
}

// Open keeps the kernel from caching: what reaches the loop device reaches us.
func (d *blockDisk) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

func (d *blockDisk) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := max(0, min(int64(len(buf)), d.size-int64(in.Offset)))
	d.content.read(buf[:n], int64(in.Offset))
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (d *blockDisk) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.content.write(int64(in.Offset), data)
	if d.keep {
		d.log = append(d.log, blockOp{int64(in.Offset), append([]byte{}, data...)})
	}
	return uint32(len(data)), fuse.OK
}

func (d *blockDisk) Fsync(<-chan struct{}, *fuse.FsyncIn) fuse.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keep {
		d.log = append(d.log, blockOp{})
	}
	return fuse.OK
}

func (d *blockDisk) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (d *blockDisk) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	n := uint32(0)
	for _, piece := range data {
		next := *in
		next.Offset += uint64(n)
		m, status := d.Write(cancel, &next, piece)
		if status != fuse.OK {
			return n, status
		}
		n += m
	}
	return n, fuse.OK
}
