package lspawn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/queuedir"
	"postrider/internal/wire/account"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
)

// installed is a qmail-lspawn that run runs, in a home directory of its own.
type installed struct {
	t     *testing.T
	home  string
	up    *parent.Channel
	log   string // a file
	ended chan error
}

// install makes the home directory, of uid, with the test binary as its worker.
func install(t *testing.T, uid int, control map[string]string) *installed {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control", "users", "bin", "alias"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	// By another process: a child of ours that is just being started would still
	// have the file open for writing, and nobody could execute it.
	copied := exec.Command("cp", self, filepath.Join(dir, "bin", workerName)).Run()
	err = errors.Join(err, copied, os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Join(dir, "bin", workerName), 0o755), os.Chown(dir, uid, -1))
	for name, text := range control {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "control", name), []byte(text), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &installed{t: t, home: dir, log: filepath.Join(dir, "log"), ended: make(chan error, 1)}
}

// start runs it until up is closed.
func (i *installed) start() {
	i.t.Helper()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		i.t.Fatal(err)
	}
	down, err := parent.NewChannel(b)
	if err != nil {
		i.t.Fatal(err)
	}
	if i.up, err = parent.NewChannel(a); err != nil {
		i.t.Fatal(err)
	}
	f, err := os.Create(i.log)
	if err != nil {
		i.t.Fatal(err)
	}
	go func() {
		log := logline.NewWriter(f)
		err := run(world.World{Home: i.home, Clock: clock.Real()}, down, log)
		log.Close()
		f.Close()
		down.Close()
		i.ended <- err
	}()
	i.t.Cleanup(func() { i.up.Close() })
}

func (i *installed) send(f parent.Frame) {
	i.t.Helper()
	if _, err := i.up.Send(f); err != nil {
		i.t.Fatal(err)
	}
}

// link gives it a link by that name, and returns the other end.
func (i *installed) link(name string) *os.File {
	i.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		i.t.Fatal(err)
	}
	i.send(parent.Frame{Kind: parent.Link, Name: name, File: theirs})
	theirs.Close()
	return ours
}

func (i *installed) end() error {
	i.t.Helper()
	i.up.Close()
	select {
	case err := <-i.ended:
		return err
	case <-time.After(time.Minute):
		i.t.Fatal("it does not end")
		return nil
	}
}

// deliver hands over one delivery and returns its result.
func deliver(t *testing.T, l *fdpass.Packets, number uint64, to string) string {
	t.Helper()
	recipient, err := address.New(to)
	if err != nil {
		t.Fatal(err)
	}
	job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: number, Address: recipient}}}
	if err := l.Send(spawn.AppendJobs(nil, 10, []spawn.Job{job})); err != nil {
		t.Fatal(err)
	}
	if err := l.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, spawn.MaxPacket)
	n, _, err := l.Receive(buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	results, err := spawn.DecodeResults(buf[:n])
	if err != nil || len(results) != 1 || results[0].Delivery != number {
		t.Fatalf("%+v, %v", results, err)
	}
	return string(results[0].Class) + results[0].Text
}

// In a private installation all mail is its owner's; what comes before "go" is
// kept, and descriptors that nobody wants are closed.
func TestRunPrivate(t *testing.T) {
	t.Parallel()
	i := install(t, 64000, nil)
	i.start()
	i.send(parent.Frame{Kind: parent.Environment, Data: parent.EncodeEnvironment([]string{"A=b"})})
	i.send(parent.Frame{Kind: parent.DefaultDelivery, Data: []byte("./Maildir/")})
	ours := i.link(parent.Spawn)
	i.link(parent.NSS).Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	i.send(parent.Frame{Kind: parent.Link, Name: "manage", File: w})
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("it is open: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	i.send(parent.Frame{Kind: parent.Figures, Name: figures.Layout(), File: null})
	null.Close()
	i.send(parent.Frame{Kind: parent.Pulse})
	i.send(parent.Frame{Kind: parent.Go})
	l, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := deliver(t, l, 1, "anybody@good"); got != "Kdid\n" {
		t.Errorf("%q", got)
	}
	if got := deliver(t, l, 2, "nobody"); got != "D"+noHost.text {
		t.Errorf("%q", got)
	}
	if err := i.end(); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile(i.log); err != nil || strings.Count(string(log), "\n") != 1 || !strings.Contains(string(log), "nothing is counted") {
		t.Errorf("%s, %v", log, err)
	}
}

// In root's installation each user has a worker of his own identity; who is not
// in passwd is asked for, once there is a link to ask on.
func TestRunSeparated(t *testing.T) {
	t.Parallel()
	// The filter would be this process's.
	i := install(t, 0, map[string]string{"sandbox": "off\n", "nssprobe": "joe\n"})
	const joe = 64123
	homes := t.TempDir()
	if err := errors.Join(os.Chmod(homes, 0o755), os.Chown(homes, joe, joe)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(i.home, "users", "cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		return errors.Join(w.Add([]byte("!jim\x00"), []byte("jim\x0064124\x0064124\x00/\x00\x00")),
			w.Add([]byte("!root\x00"), []byte("root\x000\x000\x00/\x00\x00")), w.Add(nil, []byte("\x00")))
	})
	if err != nil {
		t.Fatal(err)
	}
	i.start()
	i.send(parent.Frame{Kind: parent.Go})
	l, err := fdpass.NewPackets(i.link(parent.Spawn))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for n, c := range []struct{ to, want string }{
		{"jim@identity", "K64124 64124 [] <nil>"}, {"root@good", "Z" + asRoot.text}, {"joe@good", "Z" + lookupFails.text},
	} {
		if got := deliver(t, l, uint64(n), c.to); got != c.want {
			t.Errorf("%s: %q, want %q", c.to, got, c.want)
		}
	}
	nss := i.link(parent.NSS)
	go func() {
		_ = call.Serve(nss, 10, func(question []byte) []byte {
			return account.Reply(question, func(name string) (accounts.Account, error) {
				if name != "joe" {
					return accounts.Account{}, accounts.ErrUnknown
				}
				return accounts.Account{Name: name, UID: joe, GID: joe, Home: homes}, nil
			})
		})
	}()
	i.send(parent.Frame{Kind: parent.Pulse})
	for number := uint64(10); ; number++ { // until the link is there
		got := deliver(t, l, number, "joe@identity")
		if got == "Z"+lookupFails.text && number < 1000 {
			continue
		}
		if got != fmt.Sprintf("K%d %d [] <nil>", joe, joe) {
			t.Errorf("joe: %q", got)
		}
		break
	}
	if err := i.end(); err != nil {
		t.Error(err)
	}
}

// What is wrong with the installation is told, and no mail is touched.
func TestRunFails(t *testing.T) {
	t.Parallel()
	for word, control := range map[string]map[string]string{
		"localuidmin": {"localuidmin": "99999999999999999999\n"}, "nssprobe": {"nssprobe": "a\x00\n"}, "maybe": {"sandbox": "maybe\n"},
	} {
		i := install(t, 0, control)
		i.start()
		if err := <-i.ended; err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	i := install(t, 64000, nil)
	i.start()
	i.send(parent.Frame{Kind: parent.Environment, Data: bytes.Repeat([]byte("x"), parent.MaxData/2)})
	i.send(parent.Frame{Kind: parent.DefaultDelivery, Data: bytes.Repeat([]byte("x"), parent.MaxData/2)})
	i.send(parent.Frame{Kind: parent.Go})
	if err := <-i.ended; err == nil || !strings.Contains(err.Error(), "too long together") {
		t.Errorf("an environment that is too long: %v", err)
	}
	i.home = "/nowhere"
	i.start()
	if err := <-i.ended; err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("no home: %v", err)
	}
}

// Who has been refused by the tables is told of it, each in its words, and the
// log why somebody could not be looked for.
func TestLookupsThatFail(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]reply{
		accounts.ErrUsersDB: badUsersDB, accounts.ErrAliases: badAliases, accounts.ErrNoAlias: noAlias, accounts.ErrHome: homeAway, errors.New("other"): lookupFails,
	} {
		var noted error
		d := &directory{note: func(err error) { noted = err }, nobodies: priv.Nobodies{Below: 11}}
		to, err := address.New("joe@good")
		if err != nil {
			t.Fatal(err)
		}
		told := fmt.Errorf("looked: %w", cause)
		if _, _, end := d.judge(address.Address{}, to, accounts.Recipient{}, told); end == nil || *end != want || noted != told {
			t.Errorf("%v: %v, noted %v", cause, end, noted)
		}
		if _, _, end := d.judge(address.Address{}, to, accounts.Recipient{User: strings.Repeat("u", 1000), UID: 1000, GID: 1000}, nil); end != &unusable {
			t.Errorf("a user that the worker refuses: %v", end)
		}
		if _, _, end := d.judge(address.Address{}, to, accounts.Recipient{User: "u", UID: 10, GID: 1000}, nil); end != &asSystem {
			t.Errorf("a system user: %v", end)
		}
		nowhere, err := address.New("@good")
		if err != nil {
			continue // there is no such address
		}
		if _, _, end := d.judge(address.Address{}, nowhere, accounts.Recipient{}, nil); end != &noLocalPart {
			t.Errorf("no local part: %v", end)
		}
	}
	if sendable(huge()) {
		t.Error("a job that fits into no packet would be sent")
	}
}

// After the end of an outbox its messages are closed, those that were in it
// and those that come.
func TestOutboxEnds(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	var read []*os.File
	put := func() {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, r)
		o.put(parcel{job: withMessage(w)})
	}
	put()
	o.close()
	put()
	o.put(parcel{packet: []byte("x")})
	for n, r := range read {
		if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("message %d is open: %v", n, err)
		}
		r.Close()
	}
	if batch := o.next(); len(batch) != 0 || !o.isClosed() {
		t.Errorf("%d parcels", len(batch))
	}
}

// Jobs whose messages were lost for want of descriptors are answered; the link
// goes on (R61).
func TestGiveBack(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l, err := newLink(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.packets.Close()
	to, err := address.New("joe@good")
	if err != nil {
		t.Fatal(err)
	}
	job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: 7, Address: to}, {Delivery: 8, Address: to}}}
	if err := l.giveBack(spawn.AppendJobs(nil, 1, []spawn.Job{job})); err != nil {
		t.Error(err)
	}
	for n, want := range []uint64{7, 8} {
		if got := l.results; len(got) != 2 || got[n].Delivery != want || got[n].Class != spawn.Deferral || got[n].Text != textNoMessage {
			t.Errorf("%+v", got)
		}
	}
	if l.giveBack([]byte("garbage")) == nil {
		t.Error("no jobs, and no error")
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if l, err := newLink(file); err == nil {
		t.Errorf("a link that is closed: %v", l)
	}
}

// A session is killed where /proc hides others' processes, too.
func TestSessionsNumbers(t *testing.T) {
	t.Parallel()
	c := exec.Command("sleep", "1000")
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer c.Process.Kill()
	if !slices.Contains(slices.Collect(numbersSince(c.Process.Pid)), c.Process.Pid) {
		t.Error("a child is not among those since it was started")
	}
	for range numbersSince(c.Process.Pid) {
		break
	}
	if n, found := wordOf("/proc/loadavg", 4); !found || n < 1 {
		t.Errorf("the last process is %d, %v", n, found)
	}
	for path, which := range map[string]int{"/proc/loadavg": 5, "/nowhere": 0, "/proc/version": 0} {
		if n, found := wordOf(path, which); found {
			t.Errorf("%s: %d", path, n)
		}
	}
}

// A worker that cannot be started is told, and leaves nothing open.
func TestWorkerIsNotStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state(func() { b.s.launcher.path = "/nowhere/qmail-local" })
	if got := b.deliver(1, "good"); got != "Z"+notStarted.text {
		t.Errorf("%q", got)
	}
	b.until("nobody is left", func() bool { return len(b.s.pool.workers) == 0 && len(b.s.jobs) == 0 })
}
