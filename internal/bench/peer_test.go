package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// peer is a mail system on a host.
type peer struct {
	name string
	host *testhost.Host
	// start starts it with an empty queue, stop ends it.
	start, stop func()
	mailbox     string   // Maildir of u0@local.test, as the host names it
	queue       []string // directories whose files are queued messages
	sendmail    []string // how a local program sends
}

const (
	localRecipient  = "u0@local.test"
	remoteRecipient = "x@remote.test"
	sinkPort        = "2526"
	waitLimit       = 3 * time.Minute
)

// run runs a command of the tools' tree in the host.
func (p *peer) tool(ctx context.Context, tools string, argv ...string) error {
	r, err := p.host.Run(ctx, testhost.Command{Argv: append([]string{"chroot", tools}, argv...)})
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("%s: %v", strings.Join(argv, " "), r)
	}
	return nil
}

// inject lets smtp-source send messages over 20 parallel sessions, one
// connection a message, and returns how long it took.
func (p *peer) inject(ctx context.Context, tools, to string, messages int) (time.Duration, error) {
	start := time.Now()
	err := p.tool(ctx, tools, "smtp-source", "-s", "20", "-m", fmt.Sprint(messages), "-l", "4096",
		"-f", "x@client.test", "-t", to, "inet:127.0.0.1:25")
	return time.Since(start), err
}

// empty removes all mail of former runs.
func (p *peer) empty(t *testing.T) {
	t.Helper()
	dir := p.host.Path(filepath.Join(p.mailbox, "new"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// delivered waits for n files in the mailbox and returns when the last came:
// the change time of the youngest, so that looking costs nothing.
func (p *peer) delivered(ctx context.Context, n int) (time.Time, error) {
	dir := filepath.Join(p.mailbox, "new")
	names, err := p.host.WaitForFiles(ctx, dir, func(names []string) bool { return len(names) >= n })
	if err != nil {
		return time.Time{}, fmt.Errorf("%s delivered %d of %d: %w", p.name, len(names), n, err)
	}
	var last time.Time
	for _, name := range names {
		var st syscall.Stat_t
		if err := syscall.Stat(p.host.Path(filepath.Join(dir, name)), &st); err != nil {
			return time.Time{}, err
		}
		if when := time.Unix(st.Ctim.Unix()); when.After(last) {
			last = when
		}
	}
	return last, nil
}

// drained waits until the queue is empty.
func (p *peer) drained(ctx context.Context) error {
	for p.queued() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d messages stay queued: %w", p.name, p.queued(), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (p *peer) queued() int {
	n := 0
	for _, dir := range p.queue {
		// A file that vanishes meanwhile is not queued.
		_ = filepath.WalkDir(p.host.Path(dir), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
			}
			return nil
		})
	}
	return n
}

// awaitGreeting waits until somebody at the address on p's host greets.
func (p *peer) awaitGreeting(t *testing.T, address string) {
	t.Helper()
	ctx := testhost.Within(t, time.Minute)
	for {
		c, err := p.host.SMTP(ctx, address)
		if err == nil {
			c.Quit()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s does not greet: %v", p.name, address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
