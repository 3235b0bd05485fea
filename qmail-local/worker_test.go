package qmaillocal

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/limits"
	"postrider/internal/queuedir"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fifo makes a FIFO whose readers wait until the test ends.
func (h *host) fifo(name string) {
	h.t.Helper()
	mkfifo(h.t, h.home+"/"+name)
	h.t.Cleanup(func() {
		if fd, err := unix.Open(h.home+"/"+name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(fd)
		}
	})
}

// lspawn is qmail-lspawn's end of a link to a worker in this process.
type lspawn struct {
	t     *testing.T
	link  *fdpass.Packets
	ended chan error
}

func newWorker(t *testing.T, defaultDelivery string) *lspawn {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	link, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	l := &lspawn{t: t, ended: make(chan error, 1)}
	if l.link, err = fdpass.NewPackets(ours); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Mkdir(home+"/control", 0o755); err != nil {
		t.Fatal(err)
	}
	go func() { l.ended <- serve(world.World{Home: home, Clock: clock.Real()}, link, limits.Limits{}) }()
	t.Cleanup(func() { l.link.Close() })
	l.send(localwork.AppendSetup(nil, localwork.Setup{
		DefaultDelivery: defaultDelivery,
		Environment:     parent.EncodeEnvironment([]string{"PATH=/usr/bin:/bin"}),
	}))
	return l
}

func (l *lspawn) send(packet []byte, files ...*os.File) {
	l.t.Helper()
	if err := l.link.Send(packet, files...); err != nil {
		l.t.Fatal(err)
	}
}

// form is how a message is handed over.
type form bool

const (
	inPacket     form = false
	byDescriptor form = true
)

// job gives one delivery of a message to home.
func (l *lspawn) job(number uint64, home, ext, message string) {
	l.t.Helper()
	l.jobs(l.jobOf(number, home, ext, message, form(len(message) > spawn.MaxInline)))
}

func (l *lspawn) jobOf(number uint64, home, ext, message string, how form) localwork.Job {
	l.t.Helper()
	m := spawn.Message{Bytes: []byte(message)}
	if how == byDescriptor {
		f, err := queuedir.Memfd([]byte(message))
		if err != nil {
			l.t.Fatal(err)
		}
		m = spawn.Message{ByFile: true, File: f}
	}
	return localwork.Job{
		Delivery: number, User: "joe", Home: home, Local: "joe-" + ext, Dash: "-", Ext: ext, Domain: "host.dom", Sender: "s@x",
		Message: m,
	}
}

// jobs sends one packet with jobs and the files of their messages.
func (l *lspawn) jobs(jobs ...localwork.Job) {
	l.t.Helper()
	var files []*os.File
	for _, j := range jobs {
		if j.Message.ByFile {
			files = append(files, j.Message.File)
		}
	}
	defer fdpass.CloseAll(files)
	l.send(localwork.AppendJobs(nil, jobs), files...)
}

// next returns the next packet of the worker.
func (l *lspawn) next() []byte {
	l.t.Helper()
	if err := l.link.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		l.t.Fatal(err)
	}
	buf := make([]byte, localwork.MaxPacket)
	n, _, err := l.link.Receive(buf, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return buf[:n]
}

// wanted waits for a delivery to ask for a slot.
func (l *lspawn) wanted() uint64 {
	l.t.Helper()
	number, err := localwork.DecodeSlot(l.next(), localwork.KindWanted)
	if err != nil {
		l.t.Fatal(err)
	}
	return number
}

func (l *lspawn) grant(number uint64) {
	l.t.Helper()
	l.send(localwork.AppendSlot(nil, localwork.KindGranted, number))
}

// results waits for n results.
func (l *lspawn) results(n int) map[uint64]string {
	l.t.Helper()
	got := make(map[uint64]string)
	for len(got) < n {
		results, err := localwork.DecodeResults(l.next())
		if err != nil {
			l.t.Fatal(err)
		}
		for _, r := range results {
			got[r.Delivery] = string(r.Class) + r.Text
		}
	}
	return got
}

func TestWorkerManyMaildirDeliveries(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": ""})
	l := newWorker(t, "./Maildir/\n")
	const count = 50
	for i := range uint64(count) {
		l.job(i, h.home, "x", fmt.Sprintf("Subject: %d\n\n", i))
	}
	for number, got := range l.results(count) {
		if got != "Kdid 1+0+0\n" {
			t.Errorf("%d: %q", number, got)
		}
	}
	if n := len(h.maildir()); n != count {
		t.Errorf("%d messages", n)
	}
	l.link.Close()
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
}

// One packet with messages of both forms, in any order: each delivery gets its
// own message.
func TestWorkerMixedPacket(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": ""})
	l := newWorker(t, "./Maildir/\n")
	large := strings.Repeat("0123456789abcde\n", spawn.MaxInline/16)
	messages := []struct {
		text string
		how  form
	}{
		{"Subject: 0\n\n", inPacket},
		{"Subject: 1\n\n" + large, byDescriptor},
		{"", inPacket},
		{"", byDescriptor},
		{large, inPacket}, // the largest that fits
		{"Subject: 5\n\n", byDescriptor},
		{large + large, byDescriptor},
		{"\x00\xff", inPacket},
	}
	var jobs []localwork.Job
	var want []string
	for i, m := range messages {
		jobs = append(jobs, l.jobOf(uint64(i), h.home, "x", m.text, m.how))
		want = append(want, "Return-Path: <s@x>\nDelivered-To: joe-x@host.dom\n"+m.text)
	}
	l.jobs(jobs...)
	for number, got := range l.results(len(jobs)) {
		if got != "Kdid 1+0+0\n" {
			t.Errorf("%d: %q", number, got)
		}
	}
	got := h.maildir()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d messages: %.300q", len(got), got)
	}
}

func TestWorkerAsksForSlots(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{
		".qmail-prog": "|cat; echo done\n|echo twice\n", ".qmail-mbox": "./Mailbox\n", ".qmail-dir": "./Maildir/\n",
	})
	l := newWorker(t, "")
	l.job(1, h.home, "prog", sample)
	if got := l.wanted(); got != 1 {
		t.Errorf("delivery %d wants", got)
	}
	l.job(2, h.home, "dir", sample) // needs none
	if got := l.results(1); got[2] != "Kdid 1+0+0\n" {
		t.Errorf("Maildir meanwhile: %v", got)
	}
	l.grant(1)
	if got := l.results(1); got[1] != "K"+sample+"done\ntwice\ndid 0+0+2\n" {
		t.Errorf("program: %v", got)
	}
	l.job(3, h.home, "mbox", sample)
	l.grant(l.wanted())
	if got := l.results(1); got[3] != "Kdid 1+0+0\n" {
		t.Errorf("mbox: %v", got)
	}
	l.job(4, h.home, "prog", sample)
	l.wanted()
	l.link.Close() // the slot never comes
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
}

func TestWorkerPrograms(t *testing.T) {
	t.Parallel()
	flood := strings.Repeat("x", maxReport)
	for _, c := range []struct{ name, qmail, want string }{
		{"a background child holds nothing up", "|echo early; cat fifo & echo late\n", "Kearly\nlate\ndid 0+0+1\n"},
		{"a flood is cut", "|yes x | tr -d '\\n' | head -c 1000000\n", "K" + flood},
		{"a flood that never ends behind the program", "|yes x | tr -d '\\n' & exit 0\n", "K"},
		{"failure", "|echo bad >&2; exit 100\n", "Dbad\n"},
		{"own process group", "|test $(cut -d ' ' -f 5 /proc/$$/stat) = $$ || echo shared\n", "Kdid 0+0+1\n"},
		{"standard input can be rewound", "|(cat; cat) >/dev/null; exec 0</proc/self/fd/0; head -n 1\n", "KSubject: x\ndid 0+0+1\n"},
		{"standard input is a file, of the message's size, at its beginning",
			"|cut -f 2 </proc/self/fdinfo/0 | head -n 1; stat -L -c '%F, %s bytes' /proc/self/fd/0\n", "K0\nregular file, 18 bytes\ndid 0+0+1\n"},
		{"the offset of one program is not that of the next", "|cat fifo & head -c 3\n|head -c 3\n", "KSubSubdid 0+0+2\n"},
	} {
		for name, how := range map[string]form{"in the packet": inPacket, "by descriptor": byDescriptor} {
			t.Run(c.name+", message "+name, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, map[string]string{".qmail-default": c.qmail})
				h.fifo("fifo")
				l := newWorker(t, "")
				l.jobs(l.jobOf(1, h.home, "x", sample, how))
				l.grant(l.wanted())
				got := l.results(1)[1]
				if !strings.HasPrefix(got, c.want) || len(c.want) > 1 && len(c.want) < 100 && got != c.want {
					t.Errorf("got %.200q", got)
				}
				if len(got) > 1+maxReport {
					t.Errorf("%d bytes", len(got))
				}
			})
		}
	}
}

// TestWorkerEndsProgramsThatLast: at its limit a program ends with all that it
// has started, in whatever session and with whatever parent.
func TestWorkerEndsProgramsThatLast(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"in its group": "|cat fifo & echo $! >child; cat fifo\n",
		"left behind":  "|(setsid sh -c 'echo $$ >child; exec cat fifo' &); cat fifo\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[string]string{".qmail": line})
			h.endsAtLimit()
			pid, err := strconv.Atoi(strings.TrimSpace(h.read(h.home + "/child")))
			if err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				if err != nil || strings.Contains(string(stat), ") Z ") {
					break // nobody may wait for it
				}
				if time.Now().After(end) {
					t.Fatalf("what the program has started is there: %s", stat)
				}
			}
		})
	}
}

// TestProgramsHaveOneLimit: those of a delivery have the time together.
func TestProgramsHaveOneLimit(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail": "|sleep 0.3\n|sleep 0.3\n|sleep 0.3\n|cat fifo\n"})
	began := time.Now()
	h.endsAtLimit()
	if lasted := time.Since(began); lasted < 500*time.Millisecond {
		t.Errorf("it took %v", lasted)
	}
	// Each has less than its own half second.
	h = newHost(t, map[string]string{".qmail": "|sleep 0.3\n|sleep 0.3\n|sleep 0.3; touch third\n"})
	h.endsAtLimit()
	if _, err := os.Stat(h.home + "/third"); err == nil {
		t.Error("the third ended by itself")
	}
}

// TestWorkerSlotIsRefused: the delivery waits for another time.
func TestWorkerSlotIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": "|touch done\n"})
	l := newWorker(t, "")
	l.job(1, h.home, "x", sample)
	if err := l.link.Send(localwork.AppendSlot(nil, localwork.KindRefused, l.wanted())); err != nil {
		t.Fatal(err)
	}
	if got := l.results(1)[1]; got != "ZToo many programs and forwards are under way. (#4.3.2)\n" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(h.home + "/done"); err == nil {
		t.Error("the program ran")
	}
}

// endsAtLimit delivers with a limit of half a second.
func (h *host) endsAtLimit() {
	t := h.t
	t.Helper()
	h.fifo("fifo")
	a, err := newAgent(world.World{Clock: clock.Real()}, []string{"PATH=/usr/bin:/bin"})
	if err != nil {
		t.Fatal(err)
	}
	a.programLimit, a.ownGroup = 500*time.Millisecond, true
	f, err := os.Create(t.TempDir() + "/m")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := newMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	var said report
	d := &delivery{agent: a, message: m, out: &said, slot: func() error { return nil },
		operands: operands{user: "joe", home: h.home, local: "joe", domain: "host.dom"}}
	if err := d.run(); err == nil || !strings.HasPrefix(textOf(err), "Programs ran for more than") {
		t.Errorf("got %v", err)
	}
}

func TestWorkerRefusesBrokenProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		packet []byte
	}{
		{"garbage", []byte("garbage")},
		{"slot nobody asked for", localwork.AppendSlot(nil, localwork.KindGranted, 7)},
		{"message by descriptor without one", localwork.AppendJobs(nil, []localwork.Job{{Delivery: 1, Message: spawn.Message{ByFile: true}}})},
		{"message over the limit", localwork.AppendJobs(nil, []localwork.Job{{Delivery: 1, Message: spawn.Message{Bytes: make([]byte, spawn.MaxInline+1)}}})},
		{"cut setup", []byte("C\x00\x00")},
	} {
		l := newWorker(t, "")
		l.send(c.packet)
		if err := <-l.ended; err == nil {
			t.Errorf("%s was taken", c.name)
		}
		if _, _, err := l.link.Receive(make([]byte, 10), 0); err != io.EOF {
			t.Errorf("%s: the link stays open: %v", c.name, err)
		}
	}
}

// More descriptors than messages that want one.
func TestWorkerRefusesSpareDescriptor(t *testing.T) {
	t.Parallel()
	l := newWorker(t, "")
	job := l.jobOf(1, t.TempDir(), "x", sample, inPacket)
	l.send(localwork.AppendJobs(nil, []localwork.Job{job}), os.Stdin)
	if err := <-l.ended; err == nil {
		t.Error("it was taken")
	}
}

func TestWorkerMessageMustBeAFile(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	l := newWorker(t, "./Maildir/\n")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	l.send(localwork.AppendJobs(nil, []localwork.Job{{Delivery: 1, User: "joe", Home: h.home, Local: "joe", Domain: "x", Message: spawn.Message{ByFile: true}}}), r)
	if got := l.results(1)[1]; got != string(spawn.Deferral)+"Sorry, message has wrong type. (#4.3.5)\n" {
		t.Errorf("got %q", got)
	}
}

// TestWorkerKeepsRequireTLS: what came with REQUIRETLS is forwarded with it, or
// not at all where that cannot be said.
func TestWorkerKeepsRequireTLS(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": "&jim@example.org\n"})
	l := newWorker(t, "./Maildir/\n")
	h.write(h.queue+"/run", "#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\n", 0o755)
	l.send(localwork.AppendSetup(nil, localwork.Setup{
		Environment: parent.EncodeEnvironment([]string{"PATH=/usr/bin:/bin", "QMAILQUEUE=" + h.queue + "/run"}),
	}))
	job := l.jobOf(1, h.home, "x", "Subject: x\n\n", inPacket)
	job.RequireTLS = true
	l.jobs(job)
	l.grant(l.wanted())
	if got := l.results(1)[1]; got != "D"+noRequireTLS+"\n" {
		t.Errorf("got %q", got)
	}
	l.link.Close()
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
}
