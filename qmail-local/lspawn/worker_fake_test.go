package lspawn

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/fdpass"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// The test binary is a worker when it is called qmail-local: one that does
// what the domain of each job says, most of it not nice.
func TestMain(m *testing.M) {
	if os.Args[0] == workerName {
		fakeWorker()
		return
	}
	os.Exit(m.Run())
}

func fakeWorker() {
	f, err := fdpass.Inherit(localwork.FD, "link")
	if err != nil {
		panic(err)
	}
	link, err := fdpass.NewPackets(f)
	if err != nil {
		panic(err)
	}
	buf := make([]byte, localwork.MaxPacket)
	for {
		n, files, err := link.Receive(buf, localwork.MaxJobs)
		if err != nil {
			return
		}
		switch localwork.KindOf(buf[:n]) {
		case localwork.KindJobs:
			jobs, err := localwork.DecodeJobs(buf[:n])
			if err != nil {
				panic(err)
			}
			if err := localwork.AttachFiles(jobs, files); err != nil {
				panic(err)
			}
			for _, j := range jobs {
				misbehave(link, j)
				j.Message.Close()
			}
		case localwork.KindGranted:
			number, err := localwork.DecodeSlot(buf[:n], localwork.KindGranted)
			if err != nil {
				panic(err)
			}
			answer(link, number, spawn.Success, "granted\n")
		case localwork.KindRefused:
			number, err := localwork.DecodeSlot(buf[:n], localwork.KindRefused)
			if err != nil {
				panic(err)
			}
			answer(link, number, spawn.Deferral, "refused\n")
		}
	}
}

func answer(link *fdpass.Packets, number uint64, class spawn.Class, text string) {
	// A failed send means that qmail-lspawn has dropped us, as it should.
	_ = link.Send(localwork.AppendResults(nil, []spawn.Result{{Delivery: number, Class: class, Text: text}}))
}

func misbehave(link *fdpass.Packets, j localwork.Job) {
	want := localwork.AppendSlot(nil, localwork.KindWanted, j.Delivery)
	switch j.Domain {
	case "good":
		answer(link, j.Delivery, spawn.Success, "did\n")
	case "env":
		answer(link, j.Delivery, spawn.Success, strings.Join(os.Environ(), ",")+strings.Join(descriptors(), ","))
	case "message":
		text := string(j.Message.Bytes)
		if j.Message.ByFile {
			content, err := io.ReadAll(j.Message.File)
			if err != nil {
				panic(err)
			}
			text = string(content) + " by descriptor"
		}
		answer(link, j.Delivery, spawn.Success, text)
	case "identity":
		groups, err := os.Getgroups()
		answer(link, j.Delivery, spawn.Success, fmt.Sprint(os.Getuid(), os.Getgid(), groups, err))
	case "silent":
	case "nul":
		answer(link, j.Delivery, spawn.Failure, "before\x00after")
	case "long":
		answer(link, j.Delivery, spawn.Deferral, strings.Repeat("x", spawn.MaxText))
	case "slot":
		_ = link.Send(want)
	case "garbage":
		_ = link.Send([]byte("\x00\xff garbage"))
	case "class":
		_ = link.Send(localwork.AppendResults(nil, []spawn.Result{{Delivery: j.Delivery, Class: 'X'}}))
	case "foreign":
		for number := range j.Delivery + 100 {
			if number != j.Delivery {
				answer(link, number, spawn.Success, "stolen\n")
			}
		}
	case "twice":
		r := spawn.Result{Delivery: j.Delivery, Class: spawn.Success, Text: "first\n"}
		_ = link.Send(localwork.AppendResults(nil, []spawn.Result{r, r}))
	case "slots":
		_ = link.Send(want)
		_ = link.Send(want)
	case "descriptor":
		_ = link.Send(want, os.Stderr)
	case "close":
		_ = link.Close()
		select {}
	case "exit":
		os.Stderr.WriteString("last words\n" + strings.Repeat("flood", 100000))
		os.Exit(0)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "flood":
		for link.Send(make([]byte, 60000)) == nil {
		}
	}
}

// huge is a job that is too large for a packet.
func huge() localwork.Job {
	return localwork.Job{User: "u", Home: "/", Message: spawn.Message{Bytes: make([]byte, localwork.MaxPacket)}}
}

func withMessage(f *os.File) *localwork.Job {
	return &localwork.Job{Message: spawn.Message{ByFile: true, File: f}}
}

// descriptors lists what is open, without what the runtime opens.
func descriptors() []string {
	var open []string
	for _, fd := range []string{"0", "1", "2", "3"} {
		to, err := os.Readlink("/proc/self/fd/" + fd)
		if err != nil {
			to = "closed"
		}
		kind, _, _ := strings.Cut(to, ":")
		open = append(open, kind)
	}
	return open
}
