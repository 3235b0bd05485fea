package testhost

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost/moved"
)

// Install installs the suite as "make install setup" does. The host is a mail
// host of its own name from then on.
func (h *Host) Install() {
	h.t.Helper()
	if err := buildSuite(); err != nil {
		h.t.Fatal(err)
	}
	h.InstallPrograms()
	for _, name := range []string{"/usr/sbin/sendmail", "/usr/lib/sendmail"} {
		h.Must("ln", "-sf", "/var/qmail/bin/sendmail", name)
	}
}

// InstallPrograms installs the programs, and what they need, as "make install
// setup" does: where there are some already, files that are new take their
// place.
func (h *Host) InstallPrograms() {
	h.t.Helper()
	dir, err := builtDir()
	if err != nil {
		h.t.Fatal(err)
	}
	unlock, err := lockBuilt(dir, unix.LOCK_SH)
	if err != nil {
		h.t.Fatal(err)
	}
	defer unlock()
	h.Must(builtPath+"/bin/qmail-setup", "-i", builtPath+"/bin")
	h.Must("/var/qmail/bin/qmail-setup")
}

// InstallMovedClock installs the scheduler and the spool that run on a clock
// which MoveClock moves. The suite must not run.
func (h *Host) InstallMovedClock() {
	h.t.Helper()
	h.moved = true
	h.setClock(0)
	dir, err := builtDir()
	if err != nil {
		h.t.Fatal(err)
	}
	unlock, err := lockBuilt(dir, unix.LOCK_SH)
	if err != nil {
		h.t.Fatal(err)
	}
	defer unlock()
	for _, program := range []string{"qmail-send", "qmail-spool"} {
		h.Must("cp", builtPath+"/moved/"+program, "/var/qmail/bin/"+program)
	}
}

// MoveClock sets the scheduler's and the spool's clock to d after the
// machine's; it takes effect within 20 ms.
func (h *Host) MoveClock(d time.Duration) {
	h.t.Helper()
	if !h.moved {
		h.t.Fatal("MoveClock without InstallMovedClock")
	}
	h.setClock(d)
}

func (h *Host) setClock(d time.Duration) {
	h.t.Helper()
	if err := moved.Set(h.Path("/var/qmail/"+moved.File), d); err != nil {
		h.t.Fatal(err)
	}
}

// Control writes a control file of the suite, one line each.
func (h *Host) Control(name string, lines ...string) {
	h.t.Helper()
	text := ""
	if len(lines) > 0 {
		text = strings.Join(lines, "\n") + "\n"
	}
	h.WriteFile(filepath.Join("/var/qmail/control", name), text, 0o644)
}

// ready are the log lines of a suite that runs: every daemon was started, the
// scheduler has begun and connections are taken.
func (h *Host) ready() []*regexp.Regexp {
	status, start := `^status: local 0/`, `^qmail-start: `
	if text, err := os.ReadFile(h.Path("/var/qmail/control/logformat")); err == nil && string(text) == "json\n" {
		status, start = `"event":"status","local":0,`, `"program":"qmail-start","event":"note","text":"`
	}
	patterns := []string{status}
	if text, err := os.ReadFile(h.Path("/var/qmail/control/smtplisten")); err != nil || len(text) > 0 {
		patterns = append(patterns, start+`listening on `)
	}
	for _, program := range []string{"qmail-spool", "qmail-send", "qmail-lspawn", "qmail-r(emote|spawn)"} {
		patterns = append(patterns, start+program+`.* started \(pid \d+\)`)
	}
	compiled := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		compiled[i] = regexp.MustCompile(p)
	}
	return compiled
}

// StartSuite starts qmail-start, with ./Maildir/ as the default delivery, and
// waits until its daemons run.
func (h *Host) StartSuite() {
	h.t.Helper()
	h.StartSuiteWith("./Maildir/")
}

// StartSuiteWith starts qmail-start with these arguments.
func (h *Host) StartSuiteWith(args ...string) {
	h.t.Helper()
	h.startSuite(append(cleanEnvironment(), append([]string{"qmail-start"}, args...)...))
}

// StartSuiteUnder starts the suite below another program, which gets files as
// descriptors from 3 on, and passes on signals and qmail-start's end, or becomes
// it ("strace -D").
func (h *Host) StartSuiteUnder(program []string, files ...*os.File) {
	h.t.Helper()
	argv := append(cleanEnvironment(), program...)
	h.startSuite(append(argv, "qmail-start", "./Maildir/"), files...)
}

// cleanEnvironment begins a command line as an init script does.
func cleanEnvironment() []string {
	return []string{"env", "-i", "PATH=/var/qmail/bin:/usr/bin:/bin"}
}

func (h *Host) startSuite(argv []string, files ...*os.File) {
	h.t.Helper()
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	first := h.log.Len()
	p, err := h.launch(argv, files)
	if err != nil {
		h.t.Fatal(err)
	}
	h.suite = p
	ctx, cancel := context.WithTimeout(contextOf(h.t), patience)
	defer cancel()
	go func() {
		select {
		case <-p.Ended():
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, pattern := range h.ready() {
		if _, _, err := h.log.Wait(ctx, first, pattern); err != nil {
			h.t.Fatalf("%s: the suite does not start: %v\nlog:\n%s", h.Name, err, h.log.Timed(first))
		}
	}
}

// launch runs a command with both outputs in the host's log.
func (h *Host) launch(argv []string, files []*os.File) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	go func() {
		h.log.read(r)
		r.Close()
	}()
	return h.Start(Command{Argv: argv, Files: append([]*os.File{null, w, w}, files...)})
}

// StopSuite stops the suite in order and fails the test if it does not end
// well.
func (h *Host) StopSuite() {
	h.t.Helper()
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	if err := h.suite.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	h.awaitSuite(0)
}

// EndSuite stops the suite, in order or not, and waits until none of its
// processes is left.
func (h *Host) EndSuite() {
	h.t.Helper()
	suite := h.Suite()
	if err := suite.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(contextOf(h.t), patience)
	defer cancel()
	result, err := suite.Wait(ctx)
	if err != nil || result.Code != 0 && result.Signal != syscall.SIGTERM {
		h.t.Fatalf("%s: qmail-start: %v, %v\nlog:\n%s", h.Name, result, err, h.log.Timed(0))
	}
	for left := h.Daemons(); len(left) > 0; left = h.Daemons() {
		if ctx.Err() != nil {
			h.t.Fatalf("left behind: %v", left)
		}
		time.Sleep(10 * time.Millisecond) // nobody tells
	}
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	h.suite = nil
}

// CrashSuite kills every process of the host at once, as a power cut does to
// processes; what the kernel holds stays.
func (h *Host) CrashSuite() {
	h.t.Helper()
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	if err := h.signal(-1, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	h.awaitSuite(-1)
}

func (h *Host) awaitSuite(code int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(contextOf(h.t), patience)
	defer cancel()
	result, err := h.suite.Wait(ctx)
	if err != nil || result.Code != code {
		h.t.Fatalf("%s: qmail-start: %v, %v\nlog:\n%s", h.Name, result, err, h.log.Timed(0))
	}
	h.suite = nil
}

// Suite returns the process of qmail-start.
func (h *Host) Suite() *Process {
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	return h.suite
}

// Daemons returns the processes that qmail-start and its children started.
func (h *Host) Daemons() []ProcessInfo {
	h.t.Helper()
	all := h.Processes()
	below := map[int]bool{}
	if p := h.Suite(); p != nil {
		below[p.PID] = true
	}
	for changed := true; changed; {
		changed = false
		for _, p := range all {
			if below[p.Parent] && !below[p.PID] {
				below[p.PID], changed = true, true
			}
		}
	}
	return slices.DeleteFunc(all, func(p ProcessInfo) bool { return !below[p.PID] })
}

// Queue lists the messages in the queue by number: the files that exist, not
// what any program says.
func (h *Host) Queue() []string {
	h.t.Helper()
	var ids []string
	for bucket := range 100 {
		names, err := fileNames(h.Path(fmt.Sprintf("/var/qmail/queue/new/%02d", bucket)))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(name, ".") {
				ids = append(ids, name)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// WaitForEmptyQueue waits until no message is queued.
func (h *Host) WaitForEmptyQueue(ctx context.Context) error {
	var dirs []string
	for bucket := range 100 {
		dirs = append(dirs, h.Path(fmt.Sprintf("/var/qmail/queue/new/%02d", bucket)))
	}
	return watch(ctx, dirs, func() (bool, error) { return len(h.Queue()) == 0, nil })
}

// WaitForNoProgress waits until the scheduler has removed every progress file,
// those too whose message was gone when it started.
func (h *Host) WaitForNoProgress(ctx context.Context) error {
	var dirs []string
	for bucket := range 100 {
		dirs = append(dirs, h.Path(fmt.Sprintf("/var/qmail/queue/info/%02d", bucket)))
	}
	return watch(ctx, dirs, func() (bool, error) {
		for _, dir := range dirs {
			if names, err := fileNames(dir); err != nil || len(names) > 0 {
				return false, err
			}
		}
		return true, nil
	})
}

// QueueFiles returns every file of the queue that belongs to a message or to
// what is left of one, as /queue/new/12/ID: a queue at rest has none. What
// qmail-spool says of its end in tmp/answered belongs to none.
func (h *Host) QueueFiles() []string {
	h.t.Helper()
	var found []string
	home := h.Path("/var/qmail")
	for _, dir := range []string{"tmp", "new", "info", "drop", "bad"} {
		err := filepath.WalkDir(filepath.Join(home, "queue", dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "answered" {
				found = append(found, strings.TrimPrefix(path, home))
			}
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return found
}
