package durabletest

import (
	"math/rand/v2"
)

// kind is what a change did.
type kind int

const (
	created kind = iota
	written
	renamed
	linked
	unlinked
)

func (k kind) String() string {
	return [...]string{"create", "write", "rename", "link", "unlink"}[k]
}

// change is one entry of the disk's log.
type change struct {
	kind     kind
	inode    int
	from, to string
	offset   int64
	data     []byte
	after    int   // a write: the creation of its inode
	needs    []int // changes without which this one makes no sense
	durable  bool  // a sync saved it
	lost     bool  // a sync failed to
}

// record appends c to the log; the caller holds mu.
func (d *Disk) record(c change) int {
	i := len(d.log)
	if c.kind == written {
		c.needs = []int{c.after}
	}
	for _, name := range []string{c.from, c.to} {
		if name == "" {
			continue
		}
		if earlier, ok := d.last[name]; ok {
			c.needs = append(c.needs, earlier)
		}
		d.last[name] = i
	}
	d.log = append(d.log, c)
	return i
}

// Remains chooses what a power cut leaves of the changes no sync has saved.
type Remains func(d *Disk) []bool

// OnlySynced leaves nothing of them.
func OnlySynced(d *Disk) []bool { return make([]bool, len(d.log)) }

// Everything leaves all of them.
func Everything(d *Disk) []bool {
	all := make([]bool, len(d.log))
	for i := range all {
		all[i] = true
	}
	return all
}

// Part leaves a random part, and of some writes only the first half or as
// many zero bytes.
func Part(r *rand.Rand) Remains {
	return func(d *Disk) []bool {
		part := make([]bool, len(d.log))
		for i := range part {
			part[i] = r.IntN(2) == 0
			c := &d.log[i]
			if c.kind != written || c.durable {
				continue
			}
			switch r.IntN(4) {
			case 0:
				c.data = c.data[:len(c.data)/2]
			case 1:
				c.data = make([]byte, len(c.data))
			}
		}
		return part
	}
}

// AfterCrash returns the disk as the next start finds it. d is used up.
func (d *Disk) AfterCrash(remains Remains) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	keep := remains(d)
	for i := len(d.log) - 1; i >= 0; i-- {
		keep[i] = keep[i] || d.log[i].durable
		if keep[i] {
			for _, j := range d.log[i].needs {
				keep[j] = true
			}
		}
	}
	after := New()
	after.dirs, after.now = d.dirs, d.now
	inodes := make(map[int]*inode)
	for i, c := range d.log {
		if !keep[i] {
			continue
		}
		ino := inodes[c.inode]
		if ino == nil {
			ino = &inode{number: c.inode, modTime: d.now()}
			inodes[c.inode] = ino
		}
		after.apply(c, ino)
	}
	after.inodes = d.inodes
	after.settle()
	return after
}

func (d *Disk) apply(c change, ino *inode) {
	switch c.kind {
	case created, linked:
		d.names[c.to] = ino
		ino.links++
	case renamed:
		delete(d.names, c.from)
		d.names[c.to] = ino
	case unlinked:
		delete(d.names, c.from)
		ino.links--
	case written:
		ino.data = overlay(ino.data, c.offset, c.data)
	}
}

// settle makes what is there the durable start of a new log.
func (d *Disk) settle() {
	for name, ino := range d.names {
		ino.created = len(d.log)
		d.last[name] = len(d.log)
		d.log = append(d.log, change{kind: created, inode: ino.number, to: name, durable: true})
		d.log = append(d.log, change{kind: written, inode: ino.number, data: append([]byte(nil), ino.data...), needs: []int{ino.created}, durable: true})
	}
}
