package durable

import (
	"io"
	"time"
)

// Tree is the file operations of the write paths below one directory. Names
// are slash-separated and relative to it, made by us, never by a user. It is
// an interface so that tests can make each operation fail.
type Tree interface {
	// Create makes a file that must not exist yet, open for writing.
	Create(name string, mode uint32) (File, error)
	// Open opens an existing regular file for reading, following no link.
	Open(name string) (File, error)
	// Rename moves a file to a name that must not exist yet.
	Rename(from, to string) error
	// Link gives a file a second name that must not exist yet.
	Link(from, to string) error
	// Unlink removes a name.
	Unlink(name string) error
	// Stat describes a file, following no link.
	Stat(name string) (Info, error)
	// Dir opens a directory, to sync or list it.
	Dir(name string) (Dir, error)
}

// Syncer is an open file or directory that can be made durable by itself.
type Syncer interface {
	Sync() error
}

// File is an open file. After a failed Sync or Close it must be abandoned.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	Syncer
	// Datasync makes the content durable, not the times.
	Datasync() error
	// Flush begins to write the content to disk and waits for what it began
	// before, so that a sync finds little left to do. It makes nothing durable.
	Flush() error
	// Info describes the open file.
	Info() (Info, error)
}

// Dir is an open directory.
type Dir interface {
	Syncer
	io.Closer
	// Names calls visit with each name but "." and ".." until it returns
	// false. What is created or removed meanwhile may or may not be seen.
	Names(visit func(name string) bool) error
}

// Info is what stat says.
type Info struct {
	Size       int64
	Stored     int64 // bytes on disk: less than Size for a file with holes
	ModTime    time.Time
	ChangeTime time.Time // of the inode: also a rename counts
	UID        uint32
	Links      uint64
	Regular    bool
}
