package powercut

import (
	"fmt"
	"regexp"
)

// synced takes a sync of a descriptor.
func (p *parser) synced(arg string, begin, end int) error {
	s, ours, err := p.syncOf(arg)
	if ours {
		s.Begin, s.End = begin, end
		p.trace.Syncs = append(p.trace.Syncs, s)
	}
	return err
}

func (p *parser) syncOf(arg string) (s Sync, ours bool, err error) {
	f := fileOf(arg)
	if f.deleted || !p.trace.below(f.name) {
		return Sync{}, false, nil
	}
	if p.dirs[f.name] {
		return Sync{Kind: SyncDir, Name: f.name}, true, nil
	}
	if p.names[f.name] == 0 {
		return Sync{}, false, fmt.Errorf("%s is not known", f.name)
	}
	return Sync{Kind: SyncFile, File: p.names[f.name], Name: f.name}, true, nil
}

// syncAll takes syncfs and sync: the roots are on one file system.
func (p *parser) syncAll(c *call) error {
	name := "everything"
	if len(c.args) > 0 && c.args[0] != "" {
		name = fileOf(c.args[0]).name
	}
	if name == "everything" || p.trace.below(name) {
		p.trace.Syncs = append(p.trace.Syncs, Sync{Kind: SyncAll, Name: name, Begin: c.begin, End: c.end})
	}
	return nil
}

// queuedKey names a sync in the kernel's queue (io_submit) by the process, its
// queue and the number the process gave it.
type queuedKey struct {
	process     int
	queue, data string
}

type queuedSync struct {
	fd    string
	begin int
	sync  Sync
	ours  bool
}

var (
	request = regexp.MustCompile(`\{(?:aio_data=(0x[0-9a-f]+|\d+), )?(?:aio_key=[^,]*, )?aio_lio_opcode=(\w+), (?:aio_reqprio=[^,]*, )?aio_fildes=((?:-?\d+)(?:<(?:\\x[0-9a-f]{2})*>)?(?:\(deleted\))?)`)
	event   = regexp.MustCompile(`\{data=(0x[0-9a-f]+|\d+), obj=[^,]*, res=(-?\d+), res2=`)
)

// submit notes the syncs that the kernel was asked for.
func (p *parser) submit(c *call) error {
	found := request.FindAllStringSubmatch(c.args[2], -1)
	if int64(len(found)) < c.result {
		return fmt.Errorf("%w: %d of %d requests", errUnknown, len(found), c.result)
	}
	for _, m := range found[:c.result] {
		if m[2] != "IOCB_CMD_FSYNC" && m[2] != "IOCB_CMD_FDSYNC" {
			return fmt.Errorf("%w: %s", errUnknown, m[2])
		}
		s, ours, err := p.syncOf(m[3])
		if err != nil {
			return err
		}
		key := queuedKey{p.process(c), c.args[0], unprefixed(m[1])}
		q := queuedSync{m[3], c.begin, s, ours}
		if early, ended := p.early[key]; ended {
			delete(p.early, key)
			p.collected(q, early)
			continue
		}
		p.queued[key] = q
	}
	return nil
}

// syncEnd is what a result of a sync in the queue says.
type syncEnd struct {
	worked bool
	end    int
}

// collected counts a sync whose result was fetched.
func (p *parser) collected(q queuedSync, e syncEnd) {
	if e.worked && q.ours {
		q.sync.Begin, q.sync.End = q.begin, e.end
		p.trace.Syncs = append(p.trace.Syncs, q.sync)
	}
}

// collect counts the syncs whose results were fetched: only now somebody may
// rely on them.
func (p *parser) collect(c *call) error {
	found := event.FindAllStringSubmatch(c.args[3], -1)
	if int64(len(found)) != c.result {
		return fmt.Errorf("%w: %d of %d events", errUnknown, len(found), c.result)
	}
	for _, m := range found {
		key := queuedKey{p.process(c), c.args[0], unprefixed(m[1])}
		e := syncEnd{m[2] == "0", c.end}
		q, known := p.queued[key]
		if !known {
			// Another thread may still be on its way out of the call that asked.
			if _, twice := p.early[key]; twice {
				return errNotAsked
			}
			p.early[key] = e
			continue
		}
		delete(p.queued, key)
		p.collected(q, e)
	}
	return nil
}

var errNotAsked = fmt.Errorf("%w: the end of a sync that was not asked for", errUnknown)

// unprefixed makes 0x0, 0 and an omitted number the same.
func unprefixed(number string) string {
	switch number {
	case "", "0", "0x0":
		return "0"
	}
	return number
}
