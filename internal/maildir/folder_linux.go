package maildir

import (
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
)

// maxGroups bounds the file systems that are kept in mind; on further ones
// each file is synced by itself.
const maxGroups = 32

// Groups holds the sync group of each file system this process delivers to.
type Groups struct {
	mu     sync.Mutex
	groups map[uint64]*durable.Group // by device
}

// NewGroups returns a Groups that knows no file system yet.
func NewGroups() *Groups { return &Groups{groups: make(map[uint64]*durable.Group)} }

// Open opens the Maildir at path, which is relative to the open directory at
// home. The caller closes what it is given.
func Open(home *os.File, path string, groups *Groups) (*Folder, durable.ClosingTree, error) {
	raw, err := home.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var tree durable.ClosingTree
	var group *durable.Group
	var openErr error
	err = raw.Control(func(fd uintptr) {
		if tree, openErr = durable.OpenTreeAt(int(fd), path); openErr == nil {
			group, openErr = groups.of(int(fd), path, home.Name())
		}
	})
	if err == nil {
		err = openErr
	}
	if err != nil && tree != nil {
		return nil, nil, joinClose(err, tree)
	}
	if err != nil {
		return nil, nil, err
	}
	return NewFolder(tree, group), tree, nil
}

// of returns the group of the file system that holds tmp. A file can be
// renamed from there to new only within it.
func (g *Groups) of(dir int, path, home string) (*durable.Group, error) {
	tmp := filepath.Join(path, "tmp")
	var st unix.Stat_t
	if err := unix.Fstatat(dir, tmp, &st, 0); err != nil {
		return nil, &os.PathError{Op: "stat", Path: tmp, Err: err}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if group := g.groups[st.Dev]; group != nil {
		return group, nil
	}
	if len(g.groups) >= maxGroups {
		return durable.NewGroup(nil, false), nil
	}
	if !filepath.IsAbs(tmp) {
		tmp = filepath.Join(home, tmp)
	}
	group, err := durable.OpenGroup(tmp)
	if err == nil {
		g.groups[st.Dev] = group
	}
	return group, err
}

func joinClose(err error, tree durable.ClosingTree) error {
	if closeErr := tree.Close(); closeErr != nil {
		return closeErr
	}
	return err
}
