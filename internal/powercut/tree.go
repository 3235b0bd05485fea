package powercut

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is the files and directories below the roots at a moment.
type Tree struct {
	Files map[string]*Content
	Dirs  map[string]bool
}

// Content is the bytes of a file; equal ones share a Content.
type Content struct {
	Data   []byte // nil if large and one of very many
	size   int
	crc    uint32
	sum    [sha256.Size]byte
	parsed *parsed // by the check, once
}

// store keeps each content once.
type store map[[sha256.Size]byte]*Content

func (s store) content(data []byte) *Content {
	sum := sha256.Sum256(data)
	if s[sum] == nil {
		s[sum] = &Content{Data: bytes.Clone(data), size: len(data), crc: crc32.Checksum(data, castagnoli), sum: sum}
	}
	return s[sum]
}

// forget frees the bytes of a large content after what is needed of them was
// read: a large body has as many states as it had writes, and many times over.
func (c *Content) forget() {
	if c.Data != nil && c.size > maxKept {
		c.message()
		c.Data = nil
	}
}

const maxKept = 128 << 10

// ReadTree reads what is below the roots. prefix leads to the host they are
// on. Sockets and the like are not read: they do not outlive a power cut.
func ReadTree(prefix string, roots []string) (*Tree, error) {
	t := &Tree{Files: make(map[string]*Content), Dirs: make(map[string]bool)}
	contents := make(store)
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(prefix, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, prefix)
			switch {
			case d.IsDir():
				t.Dirs[name] = true
			case d.Type().IsRegular():
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				t.Files[name] = contents.content(data)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Names returns the names of the files in order.
func (t *Tree) Names() []string { return slices.Sorted(maps.Keys(t.Files)) }

// Difference says how two trees differ, in a line each.
func (t *Tree) Difference(other *Tree) []string {
	var lines []string
	for _, name := range t.Names() {
		o := other.Files[name]
		switch {
		case o == nil:
			lines = append(lines, name+" is in the first only")
		case !bytes.Equal(o.Data, t.Files[name].Data):
			lines = append(lines, fmt.Sprintf("%s has %d bytes, in the other %d, and differs", name, len(t.Files[name].Data), len(o.Data)))
		}
	}
	for _, name := range other.Names() {
		if t.Files[name] == nil {
			lines = append(lines, name+" is in the second only")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Dirs)) {
		if !other.Dirs[name] {
			lines = append(lines, name+"/ is in the first only")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other.Dirs)) {
		if !t.Dirs[name] {
			lines = append(lines, name+"/ is in the second only")
		}
	}
	return lines
}
