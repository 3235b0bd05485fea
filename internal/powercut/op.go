package powercut

import (
	"fmt"
	"path"
	"strings"
)

// Kind is what an operation changes.
type Kind int

// The kinds of operations.
const (
	Create Kind = iota // a file and its first name
	Mkdir
	Link
	Rename
	Unlink
	Write
	Truncate
)

var kindNames = [...]string{"create", "mkdir", "link", "rename", "unlink", "write", "truncate"}

func (k Kind) String() string { return kindNames[k] }

// isData reports whether an operation changes the content of a file.
func (k Kind) isData() bool { return k == Write || k == Truncate }

// Inode numbers the files of a trace from 1.
type Inode int

// Op is a change of the file system. Between Begin and End it may have
// happened, after End the system has told that it has.
type Op struct {
	Kind       Kind
	File       Inode
	Name       string // of Create, Mkdir, Unlink; new name of Link and Rename
	From       string // old name of Link and Rename
	Offset     int64  // of Write; the size of Truncate
	Data       []byte
	Begin, End int
}

func (o Op) String() string {
	switch o.Kind {
	case Link, Rename:
		return fmt.Sprintf("%v %s to %s", o.Kind, o.From, o.Name)
	case Write:
		return fmt.Sprintf("write %d bytes at %d of %s", len(o.Data), o.Offset, o.Name)
	case Truncate:
		return fmt.Sprintf("truncate %s to %d", o.Name, o.Offset)
	}
	return fmt.Sprintf("%v %s", o.Kind, o.Name)
}

// names are the directory entries that a namespace operation changes.
func (o Op) names() []string {
	switch o.Kind {
	case Link:
		return []string{o.Name}
	case Rename:
		return []string{o.From, o.Name}
	case Create, Mkdir, Unlink:
		return []string{o.Name}
	}
	return nil
}

// touches reports whether a namespace operation changes a directory.
func (o Op) touches(dir string) bool {
	for _, name := range o.names() {
		if path.Dir(name) == dir {
			return true
		}
	}
	return false
}

// SyncKind is what a sync covers.
type SyncKind int

// The kinds of syncs.
const (
	SyncFile SyncKind = iota
	SyncDir
	SyncAll
)

// Sync is a sync that succeeded. It covers what had ended when it began, and
// can be relied on once it has ended: for those of the kernel's queue, once
// the result was fetched.
type Sync struct {
	Kind       SyncKind
	File       Inode  // of SyncFile
	Name       string // of the file or directory
	Begin, End int
}

func (s Sync) String() string {
	return fmt.Sprintf("%s %s", [...]string{"sync file", "sync directory", "sync all"}[s.Kind], s.Name)
}

// MarkKind is what somebody was told.
type MarkKind int

// The kinds of marks.
const (
	// Accepted: the spool, or the SMTP server, said yes for the entry ID.
	Accepted MarkKind = iota
	// Dropped: a program ended with exit code 0 and had left File in drop/.
	Dropped
	// Sent: another host said yes for the entry ID.
	Sent
	// Obeyed: an order about the entry ID was answered as done.
	Obeyed
)

// Mark is a promise to the outside, or an event there, from At on.
type Mark struct {
	Kind MarkKind
	ID   string
	File Inode
	At   int
}

// Trace is what happened to the files below the roots.
type Trace struct {
	Roots []string
	Base  *Tree // what was there before, all of it durable
	Ops   []Op
	Syncs []Sync // by End
	Marks []Mark // by At
	End   int
	// Entries and Bodies say which files became which entry of the queue.
	Entries, Bodies map[string]Inode
	// Last is the tree as the programs saw it at the end.
	Last *Tree
}

func (t *Trace) below(name string) bool {
	for _, root := range t.Roots {
		if strings.HasPrefix(name, root+"/") {
			return true
		}
	}
	return false
}
