package qmailremote

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
)

// A worker that had no descriptors left for a while gives the jobs of that
// time back and keeps its link: qmail-start makes no other as long as it runs.
func TestWorkerOutOfDescriptors(t *testing.T) {
	t.Parallel()
	b := &workbench{host: &host{testNet: newTestNet(t)}}
	cmd := program(t, b.peer("192.0.2.1"))
	control, theirs := pair(t)
	var log strings.Builder
	cmd.Stderr = &log
	cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var err error
	if b.control, err = parent.NewChannel(control); err != nil {
		t.Fatal(err)
	}
	p := b.link()
	const refused = "DSorry, this address cannot be sent by SMTP. (#5.1.3)/Giving up./" // without a connection
	b.give(p, simpleMessage, b.job(1, "d.example", ""))
	if got := b.results(p, 1); got != "1"+refused {
		t.Errorf("before: %s", got)
	}
	limit(t, cmd.Process.Pid, 3)
	large := simpleMessage + strings.Repeat("0123456789abcde\n", spawn.MaxInline/16) // comes by descriptor
	b.give(p, large, b.job(2, "d.example", "r@d.example", "s@d.example"))
	const later = "ZSystem resources temporarily unavailable. (#4.3.0)/"
	if got := b.results(p, 2); got != "2"+later+"\n3"+later {
		t.Errorf("without descriptors: %s", got)
	}
	// One in the packet arrives, and is in trouble of its own.
	b.give(p, simpleMessage, b.job(5, "d.example", "r@d.example"))
	if got := b.results(p, 1); !strings.HasPrefix(got, "5Z") {
		t.Errorf("without descriptors, in the packet: %s", got)
	}
	limit(t, cmd.Process.Pid, 1000)
	b.give(p, simpleMessage, b.job(4, "d.example", ""))
	if got := b.results(p, 1); got != "4"+refused {
		t.Errorf("after: %s", got)
	}
	b.control.Close()
	if err := cmd.Wait(); err != nil || strings.Count(log.String(), "descriptors of a packet are lost") != 1 {
		t.Errorf("%v, log %q", err, log.String())
	}
}

// limit sets how many descriptors a process may have.
func limit(t *testing.T, pid int, n uint64) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(n, old.Max), Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
}
