package captured

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// workerAttacks are those of a user's worker on qmail-lspawn.
var workerAttacks = []attack{
	{"results of others", func(l *life, link *fdpass.Packets) {
		l.repeat(link, func() ([]byte, []*os.File) {
			return spawn.AppendResults(nil, []spawn.Result{{Delivery: rand.Uint64N(1000), Class: spawn.Success}}), nil
		})
	}},
	{"slots for what it was not given", func(l *life, link *fdpass.Packets) {
		l.repeat(link, func() ([]byte, []*os.File) {
			return localwork.AppendSlot(nil, localwork.KindWanted, rand.Uint64N(1000)), nil
		})
	}},
	{"a slot for each job, again and again", func(l *life, link *fdpass.Packets) {
		l.eachJob(link, func(j localwork.Job) {
			for range 1000 {
				_, _ = link.TrySend(localwork.AppendSlot(nil, localwork.KindWanted, j.Delivery)) // the link may have ended
			}
		})
	}},
	{"success of all", func(l *life, link *fdpass.Packets) {
		l.eachJob(link, func(j localwork.Job) {
			r := []spawn.Result{{Delivery: j.Delivery, Class: spawn.Success, Text: string(l.garbage(spawn.MaxText))}}
			_, _ = link.TrySend(spawn.AppendResults(nil, r)) // as above
		})
	}},
	{"children that hold the link", (*life).leaveChildren},
	{"signals to everybody", func(*life, *fdpass.Packets) {
		for pid := 1; pid < 3000; pid++ {
			if pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // those of others are refused
			}
		}
		_ = syscall.Kill(os.Getppid(), syscall.SIGSTOP) // as above
	}},
	{"a pipe that is full", func(l *life, _ *fdpass.Packets) {
		for !l.over() {
			_, _ = os.Stderr.Write(l.garbage(60_000)) // qmail-lspawn reads it, or not
		}
	}},
}

// asWorker is a life as qmail-local.
func (l *life) asWorker() int {
	f, err := fdpass.Inherit(localwork.FD, "link to qmail-lspawn")
	if err != nil {
		return 111
	}
	link, err := fdpass.NewPackets(f)
	if err != nil {
		return 111
	}
	go l.end()
	list := append(workerAttacks, linkAttacks...)
	list[l.number%len(list)].do(l, link)
	if l.number%2 == 0 { // it may end at once, or have been found out
		return 0
	}
	for {
		time.Sleep(50 * time.Millisecond)
	}
}

// eachJob is called with what the worker is given.
func (l *life) eachJob(link *fdpass.Packets, do func(localwork.Job)) {
	l.readAll(link, func(packet []byte, _ []*os.File) {
		if localwork.KindOf(packet) != localwork.KindJobs {
			return
		}
		jobs, err := localwork.DecodeJobs(packet)
		if err != nil {
			return
		}
		for _, j := range jobs {
			do(j)
		}
	})
}

// leaveChildren starts programs in sessions of their own that keep the link open
// when the worker has ended.
func (l *life) leaveChildren(link *fdpass.Packets) {
	fd, err := link.Descriptor()
	if err != nil {
		return
	}
	held, err := unix.Dup(fd)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(held), "link")
	for range 20 {
		c := exec.Command("/bin/sleep", "60")
		c.ExtraFiles = []*os.File{f}
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		_ = c.Start() // there may be no more processes
	}
}
