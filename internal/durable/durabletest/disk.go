package durabletest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"postrider/internal/durable"
)

// ErrCrashed is returned by each operation after the crash.
var ErrCrashed = errors.New("the world has stopped")

// Disk is a durable.Tree in memory.
type Disk struct {
	mu     sync.Mutex
	names  map[string]*inode
	dirs   map[string]bool
	inodes int
	log    []change
	last   map[string]int // name -> its latest change

	count   int
	failAt  int
	failErr error
	crashAt int
	done    []string
	now     func() time.Time
}

type inode struct {
	number  int
	data    []byte
	links   uint64
	modTime time.Time
	created int // index of its creation in the log
}

// New returns a disk with the given empty directories, all durable.
func New(dirs ...string) *Disk {
	d := &Disk{
		names: make(map[string]*inode), dirs: map[string]bool{".": true},
		last: make(map[string]int), failAt: -1, crashAt: -1, now: time.Now,
	}
	for _, dir := range dirs {
		for dir = path.Clean(dir); dir != "."; dir = path.Dir(dir) {
			d.dirs[dir] = true
		}
	}
	return d
}

// SetClock sets where modification times come from.
func (d *Disk) SetClock(now func() time.Time) { d.now = now }

// FailAt makes operation i, counted from 0, fail with err.
func (d *Disk) FailAt(i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count, d.failAt, d.failErr, d.done = 0, i, err, nil
}

// CrashAt stops the world after operation i, counted from 0.
func (d *Disk) CrashAt(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count, d.crashAt, d.done = 0, i, nil
}

// Operations returns how many operations were tried since FailAt or CrashAt.
func (d *Disk) Operations() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Trace returns the operations tried since FailAt or CrashAt, by name.
func (d *Disk) Trace() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.done...)
}

// Count returns how often op ("fsync", "syncfs", "rename" ...) was tried.
func (d *Disk) Count(op string) int {
	n := 0
	for _, line := range d.Trace() {
		if name, _, _ := strings.Cut(line, " "); name == op {
			n++
		}
	}
	return n
}

// Files returns names and contents of all files.
func (d *Disk) Files() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make(map[string]string)
	for name, ino := range d.names {
		files[name] = string(ino.data)
	}
	return files
}

// step counts an operation; the caller holds mu.
func (d *Disk) step(op, name string) error {
	i := d.count
	d.count++
	d.done = append(d.done, op+" "+name)
	if d.crashAt >= 0 && i > d.crashAt {
		return &fs.PathError{Op: op, Path: name, Err: ErrCrashed}
	}
	if i == d.failAt {
		return &fs.PathError{Op: op, Path: name, Err: d.failErr}
	}
	return nil
}

// Create implements durable.Tree.
func (d *Disk) Create(name string, _ uint32) (durable.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.step("create", name); err != nil {
		return nil, err
	}
	if err := d.free(name); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	d.inodes++
	ino := &inode{number: d.inodes, links: 1, modTime: d.now()}
	ino.created = d.record(change{kind: created, inode: ino.number, to: name})
	d.names[name] = ino
	return &file{d: d, ino: ino, name: name}, nil
}

// free tells whether a name can be given; the caller holds mu.
func (d *Disk) free(name string) error {
	if d.names[name] != nil || d.dirs[name] {
		return syscall.EEXIST
	}
	if !d.dirs[path.Dir(name)] {
		return syscall.ENOENT
	}
	return nil
}

// Open implements durable.Tree.
func (d *Disk) Open(name string) (durable.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.step("open", name); err != nil {
		return nil, err
	}
	ino := d.names[name]
	if ino == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	return &file{d: d, ino: ino, name: name, readOnly: true}, nil
}

// Rename implements durable.Tree.
func (d *Disk) Rename(from, to string) error { return d.move(renamed, from, to) }

// Link implements durable.Tree.
func (d *Disk) Link(from, to string) error { return d.move(linked, from, to) }

func (d *Disk) move(kind kind, from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = path.Clean(from), path.Clean(to)
	if err := d.step(kind.String(), from+" "+to); err != nil {
		return err
	}
	ino := d.names[from]
	err := d.free(to)
	if ino == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return &os.LinkError{Op: kind.String(), Old: from, New: to, Err: err}
	}
	d.record(change{kind: kind, inode: ino.number, from: from, to: to})
	d.names[to] = ino
	if kind == renamed {
		delete(d.names, from)
	} else {
		ino.links++
	}
	return nil
}

// Unlink implements durable.Tree.
func (d *Disk) Unlink(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.step("unlink", name); err != nil {
		return err
	}
	ino := d.names[name]
	if ino == nil {
		return &fs.PathError{Op: "unlink", Path: name, Err: syscall.ENOENT}
	}
	d.record(change{kind: unlinked, inode: ino.number, from: name})
	ino.links--
	delete(d.names, name)
	return nil
}

// Stat implements durable.Tree.
func (d *Disk) Stat(name string) (durable.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.step("stat", name); err != nil {
		return durable.Info{}, err
	}
	ino := d.names[name]
	if ino == nil {
		return durable.Info{}, &fs.PathError{Op: "stat", Path: name, Err: syscall.ENOENT}
	}
	return ino.info(), nil
}

func (ino *inode) info() durable.Info {
	return durable.Info{Size: int64(len(ino.data)), Stored: int64(len(ino.data)), ModTime: ino.modTime, ChangeTime: ino.modTime, Links: ino.links, Regular: true}
}

// Dir implements durable.Tree.
func (d *Disk) Dir(name string) (durable.Dir, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.step("opendir", name); err != nil {
		return nil, err
	}
	if !d.dirs[name] {
		return nil, &fs.PathError{Op: "opendir", Path: name, Err: syscall.ENOENT}
	}
	return &dir{d: d, name: name}, nil
}

// SyncAll is the disk's syncfs.
func (d *Disk) SyncAll() error {
	return d.sync("syncfs", ".", func(change) bool { return true })
}

func (d *Disk) sync(op, name string, covers func(change) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.step(op, name)
	if errors.Is(err, ErrCrashed) {
		return err
	}
	for i := range d.log {
		c := &d.log[i]
		switch {
		case c.durable || c.lost || !covers(*c):
		case err != nil:
			c.lost = true
		default:
			c.durable = true
		}
	}
	return err
}

type file struct {
	d        *Disk
	ino      *inode
	name     string
	offset   int64
	readOnly bool
	closed   bool
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.step("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(f.ino.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.ino.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// step counts an operation on the file; the caller holds mu.
func (f *file) step(op string) error {
	if err := f.d.step(op, f.name); err != nil {
		return err
	}
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.offset)
	f.offset += int64(n)
	return n, err
}

// WriteAt writes the first half before it fails.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.step("write")
	if f.readOnly && err == nil {
		err = &fs.PathError{Op: "write", Path: f.name, Err: syscall.EBADF}
	}
	if err != nil {
		if errors.Is(err, ErrCrashed) || f.readOnly || f.closed {
			return 0, err
		}
		p = p[:len(p)/2]
	}
	f.d.record(change{kind: written, inode: f.ino.number, offset: off, data: append([]byte(nil), p...), after: f.ino.created})
	f.ino.data = overlay(f.ino.data, off, p)
	f.ino.modTime = f.d.now()
	return len(p), err
}

func overlay(data []byte, off int64, p []byte) []byte {
	if missing := off + int64(len(p)) - int64(len(data)); missing > 0 {
		data = append(data, make([]byte, missing)...)
	}
	copy(data[off:], p)
	return data
}

func (f *file) Sync() error     { return f.sync("fsync") }
func (f *file) Datasync() error { return f.sync("fdatasync") }

// Flush implements durable.File: nothing becomes durable.
func (f *file) Flush() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.step("flush")
}

func (f *file) sync(op string) error {
	number := f.ino.number
	return f.d.sync(op, f.name, func(c change) bool {
		return c.inode == number && (c.kind == written || c.kind == created)
	})
}

func (f *file) Info() (durable.Info, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.step("fstat"); err != nil {
		return durable.Info{}, err
	}
	return f.ino.info(), nil
}

func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.step("close")
	f.closed = true
	return err
}

type dir struct {
	d    *Disk
	name string
}

func (h *dir) Sync() error {
	return h.d.sync("fsync", h.name, func(c change) bool {
		return c.kind != written && (c.from != "" && path.Dir(c.from) == h.name || c.to != "" && path.Dir(c.to) == h.name)
	})
}

func (h *dir) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	return h.d.step("close", h.name)
}

func (h *dir) Names(visit func(name string) bool) error {
	h.d.mu.Lock()
	err := h.d.step("readdir", h.name)
	var names []string
	for name := range h.d.names {
		if path.Dir(name) == h.name {
			names = append(names, path.Base(name))
		}
	}
	for name := range h.d.dirs {
		if name != "." && path.Dir(name) == h.name {
			names = append(names, path.Base(name))
		}
	}
	h.d.mu.Unlock()
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, name := range names {
		if !visit(name) {
			return nil
		}
	}
	return nil
}
