package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/bench/account"
	"postrider/internal/bench/load"
	"postrider/internal/testhost"
)

// yard is the host on which all mail systems take turns: one disk, one set of
// mailboxes, one control group.
type yard struct {
	t     testing.TB
	net   *testhost.Network
	host  *testhost.Host
	group *account.Group // nil where there is none: then only ours runs
	tools string         // a tree with smtp-source and smtp-sink, "" without
	exact bool           // numbers count: wait until nothing else happens
}

// diskSize is sparse; it decides how many files there can be.
const diskSize = 64 << 30

// newYard makes the host. If numbers count there must be a control group; the
// small run may do without.
func newYard(t testing.TB, exact bool) *yard {
	t.Helper()
	y := &yard{t: t, exact: exact}
	group, err := account.New()
	switch {
	case err == nil:
		y.group = group
		t.Cleanup(func() {
			if err := group.Remove(); err != nil {
				t.Error(err)
			}
		})
	case exact:
		t.Fatal(err)
	default:
		t.Log(err)
	}
	y.net = testhost.NewNetwork(t)
	y.host = y.net.Host("bench.test", testhost.WithDisk(testhost.Disk{Size: diskSize}))
	y.host.AddUsers("vmail")
	if uid := y.host.UserID("vmail"); uid != mailUID {
		t.Fatalf("vmail has uid %d, and the trees of the others have %d", uid, mailUID)
	}
	return y
}

// plant makes a tree usable in the host: read-only, but for what is on the
// disk (its /etc and /var, and the mailboxes) and in memory. It returns its
// root there.
func (y *yard) plant(name, inside string) (root string, err error) {
	root = "/run/peers/" + name
	const script = `set -e; tree=$0 root=$1 disk=$2
mkdir -p "$root" "$disk" /home/srv/mail
mount --bind "$tree" "$root"
mount -o remount,bind,ro "$root"
for d in etc var; do cp -a "$tree/$d" "$disk/"; mount --bind "$disk/$d" "$root/$d"; done
mount --bind /home/srv "$root/srv"
mount -t proc proc "$root/proc"
for d in dev run; do mount -t tmpfs -o mode=0755 tmpfs "$root/$d"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir "$root/dev/shm" "$root/run/lock"
n=0
for d in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9"; do
	set -- $d; mknod -m 666 "$root/dev/$1" c "$2" "$3"; done`
	if err := y.run("sh", "-c", script, inside, root, "/home/peers/"+name); err != nil {
		return "", err
	}
	// Nobody answers there, so that who asks in spite of all is told at once.
	y.host.WriteFile(root+"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644)
	return root, nil
}

// run runs a command in the host.
func (y *yard) run(argv ...string) error {
	ctx, cancel := context.WithTimeout(y.t.Context(), stepLimit)
	defer cancel()
	r, err := y.host.Run(ctx, testhost.Command{Argv: argv})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s: %v", strings.Join(argv, " "), r)
	}
	return err
}

// settle writes out what former work has left behind, so that it is nobody
// else's, and waits until the mail system does nothing more.
func (y *yard) settle(ctx context.Context) error {
	if !y.exact {
		return nil
	}
	if err := y.run("sync", "-f", "/home"); err != nil {
		return err
	}
	const window, little = 200 * time.Millisecond, 4 * time.Millisecond
	before, err := y.group.CPU()
	for range int(settleLimit / window) {
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(window):
		}
		var now time.Duration
		if now, err = y.group.CPU(); now-before < little {
			break
		}
		before = now
	}
	return err
}

// loader is the load while it works.
type loader struct {
	process *testhost.Process
	input   *os.File
	output  *os.File
	answers *json.Decoder
}

// load starts the load in the host.
func (y *yard) load(o load.Order) (*loader, error) {
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	// Process 1 of a host is this binary.
	process, err := y.host.Start(testhost.Command{
		Argv: []string{"/proc/1/exe", load.Arg}, Files: []*os.File{inR, outW, os.Stderr},
	})
	inR.Close()
	outW.Close()
	l := &loader{process, inW, outR, json.NewDecoder(outR)}
	if err == nil {
		err = json.NewEncoder(inW).Encode(o)
	}
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, fmt.Errorf("load: %w", err)
	}
	return l, nil
}

// answer waits for the next answer.
func (l *loader) answer(ctx context.Context) (load.Answer, error) {
	deadline, _ := ctx.Deadline()
	if err := l.output.SetReadDeadline(deadline); err != nil {
		return load.Answer{}, err
	}
	var a load.Answer
	err := l.answers.Decode(&a)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("the load ended without an answer")
	case err == nil && a.Count == 0 && a.Error != "":
		err = errors.New(a.Error)
	}
	return a, err
}

// end ends the load.
func (l *loader) end(ctx context.Context) error {
	l.input.Close()
	_, err := l.process.Wait(ctx)
	if err != nil {
		_ = l.process.SignalGroup(9) // it may be gone by now
	}
	l.output.Close()
	return err
}

// loadOnce runs an order with one answer to its end.
func (y *yard) loadOnce(ctx context.Context, o load.Order) (load.Answer, error) {
	l, err := y.load(o)
	if err != nil {
		return load.Answer{}, err
	}
	a, err := l.answer(ctx)
	return a, errors.Join(err, l.end(ctx))
}

// logFile opens a log on the disk of the host, to be appended to.
func (y *yard) logFile(name string) (*os.File, error) {
	file := y.host.Path("/home/logs/" + name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}
