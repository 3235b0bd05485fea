package start

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/footprint"
	"postrider/internal/handover"
	"postrider/internal/priv"
	"postrider/internal/wire/parent"
)

// The test binary plays every daemon: it is linked into the bin directory of a
// test's home and tells on descriptor 2 what it was given.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "printer" {
		playPrinter()
		return
	}
	switch name {
	case "testator":
		playTestator()
		return
	case "dynasty":
		playDynasty()
		return
	case "childless":
		playChildless()
		return
	}
	for _, role := range priv.Roles() {
		if role.Program == name {
			playDaemon(name)
			return
		}
	}
	// What came with the test's own caller is not qmail-start's.
	for _, fd := range inheritedDescriptors() {
		if fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	os.Exit(m.Run())
}

// playDaemon tells its descriptors, environment and frames. It greets each
// peer by name and tells how it was greeted.
func playDaemon(name string) {
	tell := func(format string, args ...any) {
		os.Stderr.WriteString(name + ": " + fmt.Sprintf(format, args...) + "\n")
	}
	tell("descriptors %v", inheritedDescriptors())
	tell("environment %q", os.Environ())
	sid, _ := unix.Getsid(0)
	tell("leads its session: %v", sid == os.Getpid())
	for fd := range 2 {
		target, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		tell("descriptor %d is %s", fd, target)
	}
	channel, err := parent.Inherited()
	if err != nil {
		tell("%v", err)
		os.Exit(100)
	}
	err = channel.Run(func(f parent.Frame) error {
		switch f.Kind {
		case parent.Link:
			greet(name, f, tell)
		case parent.Listener:
			tell("listener %s", f.Name)
		default:
			tell("frame %c %q", f.Kind, f.Data)
		}
		return nil
	})
	tell("end of channel %v", err)
}

// greet says its name to the peer of a link and tells what the peer says,
// until the peer is gone.
func greet(name string, f parent.Frame, tell func(string, ...any)) {
	p, err := fdpass.NewPackets(f.File)
	if err != nil {
		tell("link %s: %v", f.Name, err)
		return
	}
	if err := p.Send([]byte(name)); err != nil {
		tell("link %s: %v", f.Name, err)
	}
	go func() {
		buf := make([]byte, 100)
		for {
			n, _, err := p.Receive(buf, 0)
			if err != nil {
				tell("link %s: %v", f.Name, err)
				return
			}
			tell("link %s to %s", f.Name, buf[:n])
		}
	}()
}

// inheritedDescriptors lists what came through exec: the Go runtime's own
// descriptors are close-on-exec.
func inheritedDescriptors() []int {
	var found []int
	for fd := range 1000 {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			found = append(found, fd)
		}
	}
	return found
}

// playPrinter is a logger: it marks each line and passes it on.
func playPrinter() {
	fmt.Fprintf(os.Stdout, "logger: descriptors %v\n", inheritedDescriptors())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Fprintln(os.Stdout, "logged: "+in.Text())
	}
	fmt.Fprintln(os.Stdout, "logger: end")
}

// playTestator is a qmail-start that is replaced by a program which tells its
// signal mask, while other goroutines wait for the kernel, as those do that wait
// for the daemons.
func playTestator() {
	footprint.OneProcessor()
	for range 4 {
		go func() {
			for {
				_ = unix.Nanosleep(&unix.Timespec{Nsec: 300_000}, nil) // of no matter
			}
		}()
	}
	h := &heir{path: "/bin/grep", args: []string{"grep", "SigBlk", "/proc/self/status"}, flush: func() {}}
	fmt.Println(h.replace(handover.State{Speaks: parent.Version}))
}

// playChildless is a program whose successor is not there. It tells the signals
// that it gets from then on.
func playChildless() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, caught...)
	h := &heir{path: "/nowhere", args: os.Args, signals: signals, flush: func() {}}
	fmt.Println(h.replace(handover.State{Speaks: parent.Version}))
	for _, s := range caught {
		_ = unix.Kill(os.Getpid(), s.(unix.Signal)) // of no matter: then it waits for ever
		fmt.Println(<-signals)
	}
}

// playDynasty is as many programs as its argument says, each executed by the one
// before.
func playDynasty() {
	footprint.OneProcessor()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, caught...)
	left, _ := strconv.Atoi(os.Args[1])
	if len(os.Args) > 2 {
		fmt.Println("the first one")
	}
	if left == 0 {
		fmt.Println("the last one")
		return
	}
	asked := func() bool { // to end
		sig := <-signals
		return sig == unix.SIGTERM || sig == unix.SIGINT
	}
	h := &heir{path: "/proc/self/exe", args: []string{os.Args[0], strconv.Itoa(left - 1)}, signals: signals, flush: func() {}}
	err := errSignalFirst
	for err == errSignalFirst {
		for len(signals) > 0 {
			if asked() {
				fmt.Println("as it was asked")
				return
			}
		}
		err = h.replace(handover.State{Speaks: parent.Version})
	}
	fmt.Println(err)
}
