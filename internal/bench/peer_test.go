package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"postrider/internal/testhost"
)

// Where things are on the host, for every mail system.
const (
	server     = "127.0.0.1:25"
	sinkServer = "127.0.0.2:2526"
	deadServer = "127.0.0.3:2526" // nobody listens
)

// peer is a mail system in the yard.
type peer struct {
	name    string
	version string
	// syncs says whether what it acknowledges survives a power cut.
	syncs bool
	// root is its tree in the host, "" without.
	root string
	// daemons start it, one after the other; all but the last end soon.
	daemons [][]string
	// orderly says that its last daemon ends all others when it is told to.
	orderly bool
	// queue are the directories, as the host names them, whose files are
	// queued messages; waste is emptied with them. fixed says that it does not
	// make the directories in them again.
	queue, waste []string
	fixed        bool
	sendmail     []string // nil without

	fans bool // it has the routes of W9
	// scheduler is its process that knows what is queued.
	scheduler string

	sessions int // of the generator, where 20 would measure something else
	share    int // it gets one message where others get this many
	backlog  int // how many messages it lets wait; 0 is no limit

	relayTo, deadTo  string // recipients that are relayed, to the sink and to nobody
	localAll, farAll string // its names for many recipients, where it limits them

	y       *yard
	process *testhost.Process
}

// defaults fills in what most have in common.
func (p *peer) defaults(y *yard) *peer {
	p.y = y
	if p.sessions == 0 {
		p.sessions = 20
	}
	if p.share == 0 {
		p.share = 1
	}
	if p.relayTo == "" {
		p.relayTo, p.deadTo = "x@remote.test", "x@dead.test"
	}
	return p
}

// label is the head of its column.
func (p *peer) label() string {
	if p.syncs {
		return p.name
	}
	return p.name + " (no sync)"
}

// start starts it and waits until it greets.
func (p *peer) start(ctx context.Context) error {
	if err := p.launch(ctx); err != nil {
		return err
	}
	for {
		c, err := p.y.host.SMTP(ctx, server)
		if err == nil {
			return c.Quit()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not greet: %w\n%s", p.name, err, p.logTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// launch starts its daemons in the control group, with a log on the disk.
func (p *peer) launch(ctx context.Context) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	log, err := p.y.logFile(p.name)
	if err != nil {
		return err
	}
	defer log.Close()
	for i, argv := range p.daemons {
		p.process, err = p.y.host.Start(testhost.Command{Argv: p.grouped(argv), Files: []*os.File{null, log, log}})
		if err != nil {
			return err
		}
		if i == len(p.daemons)-1 {
			break
		}
		if r, err := p.process.Wait(ctx); err != nil || r.Code != 0 {
			return fmt.Errorf("%s: %v, %v\n%s", argv[0], r, err, p.logTail())
		}
	}
	return nil
}

// grouped is the command line that joins the control group, enters the tree
// and has the environment of an init script.
func (p *peer) grouped(argv []string) []string {
	clean := []string{"env", "-i", "PATH=/var/qmail/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"}
	if p.root != "" {
		clean = append(clean, "chroot", p.root)
	}
	argv = append(clean, argv...)
	if p.y.group == nil {
		return argv
	}
	return append([]string{"sh", "-c", `echo 0 >"$0" && exec "$@"`, p.y.group.Procs()}, argv...)
}

func (p *peer) logTail() string {
	text, err := os.ReadFile(p.y.host.Path("/home/logs/" + p.name))
	if err != nil {
		return err.Error()
	}
	return tail(string(text))
}

// stop ends it and waits until none of its processes is left. Only what it
// started is in its control group.
func (p *peer) stop(ctx context.Context) error {
	if p.process == nil {
		return nil
	}
	var err error
	if p.y.group == nil || p.orderly {
		if err = p.process.Signal(syscall.SIGTERM); err == nil {
			_, err = p.process.Wait(ctx)
		}
	}
	p.process = nil
	if p.y.group == nil {
		return err
	}
	for round := range 100 {
		pids, pidsErr := p.y.group.PIDs()
		if pidsErr != nil || len(pids) == 0 {
			return errors.Join(err, pidsErr)
		}
		signal := syscall.SIGTERM
		if round > 50 {
			signal = syscall.SIGKILL
		}
		if round%10 == 0 {
			for _, pid := range pids {
				_ = syscall.Kill(pid, signal) // or it has ended
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(err, fmt.Errorf("%s does not end", p.name))
}

// wipe removes all queued mail and the logs, while it is stopped.
func (p *peer) wipe() error {
	for _, dir := range append(p.queue, p.waste...) {
		if err := clear(p.y.host.Path(dir), p.fixed); err != nil {
			return err
		}
	}
	return clear(p.y.host.Path("/home/logs"), true)
}

// clear empties a directory; keep leaves the directories in it, now empty.
func clear(dir string, keep bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if err != nil {
			return err
		}
		name := filepath.Join(dir, e.Name())
		if keep && e.IsDir() {
			err = clear(name, keep)
		} else {
			err = os.RemoveAll(name)
		}
	}
	return err
}

// drained waits until its queue is empty.
func (p *peer) drained(ctx context.Context) error {
	for {
		queued, such := p.queued()
		if queued == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d files stay queued, such as %s: %w\n%s", p.name, queued, such, ctx.Err(), p.logTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// queued returns how many files its queue has, and the name of one.
func (p *peer) queued() (n int, such string) {
	for _, dir := range p.queue {
		// A file that vanishes meanwhile is not queued.
		_ = filepath.WalkDir(p.y.host.Path(dir), func(name string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
				such = name
			}
			return nil
		})
	}
	return n, such
}

// dirs prefixes names with the root of its tree.
func dirs(root string, names ...string) []string {
	list := strings.Fields(strings.Join(names, " "))
	for i := range list {
		list[i] = root + list[i]
	}
	return list
}

// version is that of a Debian package.
func (y *yard) version(root, name string) string {
	ctx, cancel := context.WithTimeout(y.t.Context(), stepLimit)
	defer cancel()
	r, err := y.host.Run(ctx, testhost.Command{Argv: []string{"chroot", root, "dpkg-query", "-W", "-f", "${Version}", name}})
	if err != nil || r.Code != 0 {
		return "of unknown version"
	}
	return r.Stdout
}
