package powercut

import (
	"errors"
	"fmt"
	"strings"
)

type handler func(*parser, *call) error

// handlers are the calls that change or sync files.
func handlers() map[string]handler {
	at := func(dir, name int) handler {
		return func(p *parser, c *call) error { return p.unlink(c, c.args[dir], c.args[name]) }
	}
	return map[string]handler{
		"openat":  func(p *parser, c *call) error { return p.openFile(c, c.args[0], c.args[1], c.args[2]) },
		"openat2": func(p *parser, c *call) error { return p.openFile(c, c.args[0], c.args[1], c.args[2]) },
		"open":    func(p *parser, c *call) error { return p.openFile(c, "", c.args[0], c.args[1]) },
		"creat":   func(p *parser, c *call) error { return p.openFile(c, "", c.args[0], "O_WRONLY|O_CREAT|O_TRUNC") },

		"write":    func(p *parser, c *call) error { return p.write(c, text, "") },
		"writev":   func(p *parser, c *call) error { return p.write(c, vector, "") },
		"pwrite64": func(p *parser, c *call) error { return p.write(c, text, c.args[3]) },
		"pwritev":  func(p *parser, c *call) error { return p.write(c, vector, c.args[3]) },

		"copy_file_range": (*parser).copyRange,
		"sendfile":        (*parser).sendFile,
		"ftruncate":       (*parser).truncate,
		"truncate":        (*parser).truncateName,

		"mkdir":     func(p *parser, c *call) error { return p.mkdir(c, "", c.args[0]) },
		"mkdirat":   func(p *parser, c *call) error { return p.mkdir(c, c.args[0], c.args[1]) },
		"unlink":    func(p *parser, c *call) error { return p.unlink(c, "", c.args[0]) },
		"unlinkat":  at(0, 1),
		"rename":    func(p *parser, c *call) error { return p.rename(c, "", c.args[0], "", c.args[1]) },
		"renameat":  func(p *parser, c *call) error { return p.rename(c, c.args[0], c.args[1], c.args[2], c.args[3]) },
		"renameat2": func(p *parser, c *call) error { return p.rename(c, c.args[0], c.args[1], c.args[2], c.args[3]) },
		"link":      func(p *parser, c *call) error { return p.link(c, "", c.args[0], "", c.args[1]) },
		"linkat":    func(p *parser, c *call) error { return p.link(c, c.args[0], c.args[1], c.args[2], c.args[3]) },

		"fsync":        func(p *parser, c *call) error { return p.synced(c.args[0], c.begin, c.end) },
		"fdatasync":    func(p *parser, c *call) error { return p.synced(c.args[0], c.begin, c.end) },
		"syncfs":       (*parser).syncAll,
		"sync":         (*parser).syncAll,
		"io_submit":    (*parser).submit,
		"io_getevents": (*parser).collect,
	}
}

var errUnknown = errors.New("not understood")

// openFile sees what an open creates or cuts. Its result says the real name.
func (p *parser) openFile(c *call, dir, name, flags string) error {
	_, real, found := strings.Cut(c.line[strings.LastIndex(c.line, " = "):], "<")
	if !found {
		return nil
	}
	full := unhex(strings.TrimSuffix(real, ">"))
	if !p.trace.below(full) {
		return nil
	}
	if strings.Contains(flags, "O_TMPFILE") {
		return errUnknown
	}
	if p.dirs[full] {
		return nil
	}
	file := p.names[full]
	switch {
	case file == 0 && !strings.Contains(flags, "O_CREAT"):
		if strings.Contains(flags, "O_DIRECTORY") || strings.Contains(flags, "O_PATH") {
			return nil
		}
		return fmt.Errorf("%s is not known", full)
	case file == 0:
		p.last++
		file = p.last
		p.named(c, file, full)
		p.op(c, Op{Kind: Create, File: file, Name: full})
	case strings.Contains(flags, "O_TRUNC") && len(p.data[file]) > 0:
		p.cut(c, file, full, 0)
	}
	if strings.Contains(flags, "O_WRONLY") || strings.Contains(flags, "O_RDWR") {
		p.position[file] = 0
		p.append[file] = strings.Contains(flags, "O_APPEND")
	}
	return nil
}

// write takes what a call of the write family wrote, at the descriptor's
// position or at offset.
func (p *parser) write(c *call, decode func(string) (string, error), offset string) error {
	file, name, ours, err := p.open(c.args[0])
	if !ours || err != nil || c.result == 0 {
		return err
	}
	s, err := decode(c.args[1])
	if err != nil {
		return err
	}
	if int64(len(s)) < c.result {
		return fmt.Errorf("%d bytes of %d are in the trace", len(s), c.result)
	}
	return p.put(c, file, name, []byte(s[:c.result]), offset)
}

func (p *parser) put(c *call, file Inode, name string, data []byte, offset string) error {
	at := p.position[file]
	if p.append[file] {
		at = int64(len(p.data[file]))
	}
	if offset != "" {
		var err error
		if at, err = number(offset); err != nil {
			return err
		}
	}
	if offset == "" {
		p.position[file] = at + int64(len(data))
	}
	p.data[file] = overlay(p.data[file], at, data)
	p.op(c, Op{Kind: Write, File: file, Name: name, Offset: at, Data: data})
	return nil
}

// overlay writes data into b at an offset; a gap reads as zeros.
func overlay(b []byte, at int64, data []byte) []byte {
	b = resize(b, max(int64(len(b)), at+int64(len(data))))
	copy(b[at:], data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (p *parser) copyRange(c *call) error {
	file, name, ours, err := p.open(c.args[2])
	if !ours || err != nil || c.result == 0 {
		return err
	}
	if c.args[3] != "NULL" {
		return errUnknown
	}
	from, _, known, err := p.open(c.args[0])
	if !known || err != nil {
		return fmt.Errorf("%w: its source is not known", errUnknown)
	}
	start, _, _ := strings.Cut(strings.Trim(c.args[1], "[]"), "]")
	at, err := number(start)
	if err != nil || at+c.result > int64(len(p.data[from])) {
		return fmt.Errorf("%w: offset %s", errUnknown, c.args[1])
	}
	return p.put(c, file, name, append([]byte(nil), p.data[from][at:at+c.result]...), "")
}

func (p *parser) sendFile(c *call) error {
	_, _, ours, err := p.open(c.args[0])
	if ours {
		return errUnknown
	}
	return err
}

func (p *parser) truncate(c *call) error {
	file, name, ours, err := p.open(c.args[0])
	if !ours || err != nil {
		return err
	}
	size, err := number(c.args[1])
	if err != nil {
		return err
	}
	p.cut(c, file, name, size)
	return nil
}

func (p *parser) truncateName(c *call) error {
	name, err := resolve("", c.args[0])
	if err != nil || p.trace.below(name) {
		return errUnknown
	}
	return nil
}

func (p *parser) cut(c *call, file Inode, name string, size int64) {
	if int64(len(p.data[file])) == size {
		return
	}
	p.data[file] = resize(p.data[file], size)
	p.op(c, Op{Kind: Truncate, File: file, Name: name, Offset: size})
}

func (p *parser) mkdir(c *call, dir, name string) error {
	full, err := resolve(dir, name)
	if err != nil || !p.trace.below(full) {
		return err
	}
	p.dirs[full] = true
	p.op(c, Op{Kind: Mkdir, Name: full})
	return nil
}

func (p *parser) unlink(c *call, dir, name string) error {
	full, err := resolve(dir, name)
	if err != nil || !p.trace.below(full) {
		return err
	}
	if strings.Contains(c.line, "AT_REMOVEDIR") {
		return errUnknown
	}
	if p.names[full] == 0 {
		return p.special(full)
	}
	p.op(c, Op{Kind: Unlink, File: p.names[full], Name: full})
	delete(p.names, full)
	return nil
}

// special lets sockets pass: they are names without content.
func (p *parser) special(name string) error {
	if strings.HasSuffix(name, ".sock") {
		return nil
	}
	return fmt.Errorf("%s is not known", name)
}

func (p *parser) rename(c *call, fromDir, from, toDir, to string) error {
	old, err := resolve(fromDir, from)
	if err != nil {
		return err
	}
	full, err := resolve(toDir, to)
	if err != nil || !p.trace.below(full) && !p.trace.below(old) {
		return err
	}
	file := p.names[old]
	if file == 0 {
		return p.special(old)
	}
	delete(p.names, old)
	p.op(c, Op{Kind: Rename, File: file, From: old, Name: full})
	p.named(c, file, full)
	return nil
}

func (p *parser) link(c *call, fromDir, from, toDir, to string) error {
	old, err := resolve(fromDir, from)
	if err != nil {
		return err
	}
	full, err := resolve(toDir, to)
	if err != nil || !p.trace.below(full) {
		return err
	}
	file := p.names[old]
	if file == 0 {
		return fmt.Errorf("%s is not known", old)
	}
	p.op(c, Op{Kind: Link, File: file, From: old, Name: full})
	p.named(c, file, full)
	return nil
}
