package powercut

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// tracedCalls are the calls that Parse understands, and those that would
// change a file in a way it does not: these fail it.
func tracedCalls() []string {
	calls := []string{
		// read by marks.go
		"read", "recvfrom", "sendto", "sendmsg", "exit_group",
		// refused below the roots
		"io_uring_setup", "fallocate", "splice", "pwritev2", "mmap", "ioctl", "rmdir", "symlink", "symlinkat", "msync",
		"mknod", "mknodat",
		// without effect on this model
		"sync_file_range", "lseek", "clone", "clone3", "fork", "vfork",
	}
	for name := range handlers() {
		calls = append(calls, name)
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}

// parser follows what the programs see while it reads the trace.
type parser struct {
	trace    *Trace
	names    map[string]Inode
	dirs     map[string]bool
	data     map[Inode][]byte
	position map[Inode]int64
	append   map[Inode]bool // opened with O_APPEND
	last     Inode
	group    map[int]int // threads to processes
	queued   map[queuedKey]queuedSync
	early    map[queuedKey]syncEnd // whose asking is not in the trace yet
	marks    marker
}

// Parse reads the output of strace. base is what was below the roots before.
func Parse(r io.Reader, base *Tree, roots []string) (*Trace, error) {
	p := &parser{
		trace:    &Trace{Roots: roots, Base: base, Entries: make(map[string]Inode), Bodies: make(map[string]Inode)},
		names:    make(map[string]Inode),
		dirs:     make(map[string]bool),
		data:     make(map[Inode][]byte),
		position: make(map[Inode]int64),
		append:   make(map[Inode]bool),
		group:    make(map[int]int),
		queued:   make(map[queuedKey]queuedSync),
		early:    make(map[queuedKey]syncEnd),
	}
	p.marks = newMarker(p)
	for _, name := range base.Names() {
		p.last++
		p.enter(name, p.last)
		p.data[p.last] = slices.Clone(base.Files[name].Data)
	}
	for name := range base.Dirs {
		p.dirs[name] = true
	}
	known := handlers()
	err := readCalls(r, func(c *call) error {
		p.trace.End = c.end
		err := p.call(known, c)
		if err != nil {
			return fmt.Errorf("%s of %s: %w: %.300s", c.name, c.program, err, c.line)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(p.early) > 0 {
		return nil, errNotAsked
	}
	p.trace.Last = p.tree()
	slices.SortStableFunc(p.trace.Marks, func(a, b Mark) int { return a.At - b.At })
	slices.SortStableFunc(p.trace.Syncs, func(a, b Sync) int { return a.End - b.End })
	return p.trace, nil
}

func (p *parser) tree() *Tree {
	t := &Tree{Files: make(map[string]*Content), Dirs: p.dirs}
	contents := make(store)
	for name, file := range p.names {
		t.Files[name] = contents.content(p.data[file])
	}
	return t
}

func (p *parser) call(known map[string]handler, c *call) error {
	if err := p.marks.call(c); err != nil {
		return err
	}
	if c.failed || len(c.args) == 0 {
		return nil
	}
	if handle := known[c.name]; handle != nil {
		return handle(p, c)
	}
	switch c.name {
	case "clone", "clone3":
		p.group[int(c.result)] = int(c.result)
		if strings.Contains(c.line, "CLONE_THREAD") {
			p.group[int(c.result)] = p.process(c)
		}
	case "fork", "vfork":
		p.group[int(c.result)] = int(c.result)
	case "lseek":
		if f := p.names[fileOf(c.args[0]).name]; f != 0 {
			p.position[f] = c.result
		}
	case "mmap":
		if strings.Contains(c.line, "MAP_SHARED") && strings.Contains(c.line, "PROT_WRITE") {
			return p.refuse(c)
		}
	case "io_uring_setup":
		return fmt.Errorf("not understood")
	case "fallocate", "splice", "pwritev2", "rmdir", "symlink", "symlinkat", "mknod", "mknodat", "msync":
		return p.refuse(c)
	case "ioctl":
		if strings.Contains(c.line, "FICLONE") {
			return p.refuse(c)
		}
	}
	return nil
}

// refuse fails for a call below the roots that the model does not have.
func (p *parser) refuse(c *call) error {
	for _, arg := range c.args {
		name := fileOf(arg).name
		if s, err := text(arg); err == nil {
			name = s
		}
		if p.trace.below(name) || name != "" && !path.IsAbs(name) {
			return fmt.Errorf("not understood")
		}
	}
	return nil
}

// process is the process of the thread that called.
func (p *parser) process(c *call) int {
	if group := p.group[c.pid]; group != 0 {
		return group
	}
	return c.pid
}

// resolve returns the absolute name of a directory argument and a relative one.
func resolve(dir, name string) (string, error) {
	s, err := text(name)
	if err != nil {
		return "", err
	}
	if path.IsAbs(s) {
		return path.Clean(s), nil
	}
	base := fileOf(dir).name
	if base == "" {
		return "", fmt.Errorf("%q is relative to what is not known", s)
	}
	return path.Join(base, s), nil
}

// open returns the file of a descriptor; false if it is not below the roots,
// or has no name any more.
func (p *parser) open(arg string) (Inode, string, bool, error) {
	f := fileOf(arg)
	if !p.trace.below(f.name) || f.deleted {
		return 0, f.name, false, nil
	}
	if p.names[f.name] == 0 {
		return 0, f.name, false, fmt.Errorf("%s is not known", f.name)
	}
	return p.names[f.name], f.name, true, nil
}

func (p *parser) op(c *call, o Op) {
	o.Begin, o.End = c.begin, c.end
	p.trace.Ops = append(p.trace.Ops, o)
}

// entryName is the name of an accepted message or of its body.
var entryName = regexp.MustCompile(`/queue/new/\d\d/(\d{20})(\.body)?$`)

func (p *parser) named(c *call, file Inode, name string) {
	p.enter(name, file)
	if path.Base(path.Dir(name)) == "drop" {
		p.marks.dropped[p.process(c)] = file
	}
}

func (p *parser) enter(name string, file Inode) {
	p.names[name] = file
	switch m := entryName.FindStringSubmatch(name); {
	case m == nil:
	case m[2] == "":
		p.trace.Entries[m[1]] = file
	default:
		p.trace.Bodies[m[1]] = file
	}
}
