package powercut

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// fate is what a power cut made of an operation.
type fate byte

// Lost and whole are for all operations, the others for writes.
const (
	lost   fate = iota
	whole       // it is on disk
	zeroed      // the file has its length, and zeros for its bytes
	halved      // the first half of the bytes is on disk
)

// builder makes the trees of a trace.
type builder struct {
	*Trace
	base     map[string]Inode
	bases    map[Inode]*Content
	data     map[Inode][]int // the operations on the content of a file, in order
	contents store
	known    map[string]*Content // by file and fates
}

func newBuilder(t *Trace) *builder {
	b := &builder{
		Trace: t, base: make(map[string]Inode), bases: make(map[Inode]*Content), data: make(map[Inode][]int),
		contents: make(store), known: make(map[string]*Content),
	}
	// The numbers are those that Parse gives.
	for i, name := range t.Base.Names() {
		b.base[name] = Inode(i + 1)
		b.bases[Inode(i+1)] = t.Base.Files[name]
		b.contents[t.Base.Files[name].sum] = t.Base.Files[name]
	}
	for i, o := range t.Ops {
		if o.Kind.isData() {
			b.data[o.File] = append(b.data[o.File], i)
		}
	}
	return b
}

// tree is what is on disk, given the fate of each operation.
func (b *builder) tree(fates []fate) *Tree {
	names := maps.Clone(b.base)
	dirs := b.Base.Dirs
	for i, o := range b.Ops {
		if fates[i] == lost {
			continue
		}
		switch o.Kind {
		case Create, Link:
			names[o.Name] = o.File
		case Rename:
			delete(names, o.From)
			names[o.Name] = o.File
		case Unlink:
			delete(names, o.Name)
		case Mkdir:
			dirs = maps.Clone(dirs)
			dirs[o.Name] = true
		}
	}
	t := &Tree{Files: make(map[string]*Content, len(names)), Dirs: dirs}
	for name, file := range names {
		t.Files[name] = b.content(file, fates)
	}
	return t
}

// content is the bytes of a file. All states of a trace share few.
func (b *builder) content(file Inode, fates []fate) *Content {
	key := make([]byte, 0, 16+len(b.data[file]))
	key = append(key, byte(file>>16), byte(file>>8), byte(file))
	for _, i := range b.data[file] {
		key = append(key, byte(fates[i]))
	}
	if c := b.known[string(key)]; c != nil {
		return c
	}
	var bytes []byte
	if base := b.bases[file]; base != nil {
		bytes = slices.Clone(base.Data)
	}
	for _, i := range b.data[file] {
		bytes = apply(bytes, b.Ops[i], fates[i])
	}
	c := b.contents.content(bytes)
	c.forget()
	b.known[string(key)] = c
	return c
}

func apply(b []byte, o Op, f fate) []byte {
	switch {
	case f == lost:
		return b
	case o.Kind == Truncate:
		return resize(b, o.Offset)
	case f == zeroed:
		return overlay(b, o.Offset, make([]byte, len(o.Data)))
	case f == halved:
		return overlay(b, o.Offset, o.Data[:len(o.Data)/2])
	}
	return overlay(b, o.Offset, o.Data)
}

// final is the bytes of a file when nothing is lost.
func (b *builder) final(file Inode) *Content {
	return b.content(file, slices.Repeat([]fate{whole}, len(b.Ops)))
}

// sum tells trees apart.
func (t *Tree) sum() (s [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range t.Names() {
		h.Write([]byte(name))
		h.Write([]byte{0})
		h.Write(t.Files[name].sum[:])
	}
	h.Sum(s[:0])
	return s
}
