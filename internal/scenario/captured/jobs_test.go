package captured

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/wire/spawn"
)

// forbidden are recipients who get no mail: root, users of the system and of the suite,
// and names that are paths.
var forbidden = []string{
	"root", "daemon", "bin", "nobody", "qmailq", "qmails", "qmaild", "qmailw", "qmailk", "root-x", "../root", "../../etc",
	"/root", "root/../alice", "0", "", ".", "mallory\x01", "-f", "$(touch /tmp/x)", "`id`", "%s%n", strings.Repeat("a", 900),
}

// job is one for a recipient, and a message in the packet or by a descriptor.
func job(local string, byFile bool) spawn.Job {
	number := rand.Uint64N(100_000)
	j := spawn.Job{Host: "", Recipients: []spawn.Recipient{{Delivery: number}}}
	copy(j.ID[:], fmt.Sprintf("%020d", number))
	j.Recipients[0].Address, _ = address.New(local + "@mx1.example") // or the null address
	j.Sender, _ = address.New("mallory@mx1.example")                 // never fails
	j.Message = spawn.Message{Bytes: []byte("Subject: forged\n\nforged\n"), ByFile: byFile}
	return j
}

// localJobAttacks are those of a scheduler on qmail-lspawn.
var localJobAttacks = []attack{
	{"jobs for root and others who get none", func(l *life, link *fdpass.Packets) {
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) {
			return spawn.AppendJobs(nil, rand.IntN(1<<31), []spawn.Job{job(forbidden[rand.IntN(len(forbidden))], false)}), nil
		})
	}},
	{"messages that are sockets, pipes, the log", func(l *life, link *fdpass.Packets) {
		a, b, err := fdpass.Pair(unix.SOCK_STREAM)
		if err != nil {
			l.say("%v", err)
			return
		}
		defer fdpass.CloseAll([]*os.File{a, b})
		n := 0
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) {
			if n++; n > 50 { // hers would wait for ever
				return spawn.AppendJobs(nil, 10, []spawn.Job{job("root", true)}), []*os.File{a}
			}
			return spawn.AppendJobs(nil, 10, []spawn.Job{job("mallory", true)}), []*os.File{[]*os.File{a, os.Stderr}[rand.IntN(2)]}
		})
	}},
	{"jobs without their descriptors", func(l *life, link *fdpass.Packets) {
		_ = link.Send(spawn.AppendJobs(nil, 10, []spawn.Job{job("mallory", true), job("mallory", true)}))
	}},
	{"many jobs whose results nobody reads", func(l *life, link *fdpass.Packets) {
		n := 0
		l.repeat(link, func() ([]byte, []*os.File) {
			var jobs []spawn.Job
			for range spawn.MaxJobs {
				to := forbidden[rand.IntN(4)]
				if n++; n%1000 == 0 {
					to = "mallory"
				}
				jobs = append(jobs, job(to, false))
			}
			return spawn.AppendJobs(nil, 10, jobs), nil
		})
	}},
	{"one delivery twice", func(l *life, link *fdpass.Packets) {
		j := job("mallory", false)
		_ = link.Send(spawn.AppendJobs(nil, 10, []spawn.Job{j, j}))
	}},
}

// remoteJobAttacks are those of a scheduler on the workers that go to the network.
var remoteJobAttacks = []attack{
	{"hosts that are none", func(l *life, link *fdpass.Packets) {
		hosts := []string{"", ".", "..", "[127.0.0.1]", "[::1]", "localhost", "mx1.example", "a b", "\x00", strings.Repeat("a.", 400), "../../etc/passwd"}
		go l.readAll(link, func([]byte, []*os.File) {})
		l.repeat(link, func() ([]byte, []*os.File) {
			j := job("mallory", false)
			j.Host, j.Relay = hosts[rand.IntN(len(hosts))], hosts[rand.IntN(len(hosts))]
			return spawn.AppendJobs(nil, 0, []spawn.Job{j}), nil
		})
	}},
	{"jobs without their descriptors", func(l *life, link *fdpass.Packets) {
		j := job("x", true)
		j.Host = "mx1.example"
		_ = link.Send(spawn.AppendJobs(nil, 0, []spawn.Job{j, j}))
	}},
}

// resultAttacks are those of a remote worker on the scheduler.
var resultAttacks = []attack{
	{"success of all, at once", func(l *life, link *fdpass.Packets) {
		l.answerJobs(link, func(spawn.Job) (spawn.Class, string) { return spawn.Success, "delivered, I swear\n" })
	}},
	{"results of others", func(l *life, link *fdpass.Packets) {
		l.repeat(link, func() ([]byte, []*os.File) {
			var results []spawn.Result
			for n := range 500 {
				results = append(results, spawn.Result{Delivery: uint64(n), Class: spawn.Success})
			}
			return spawn.AppendResults(nil, results), nil
		})
	}},
	{"each result twice", func(l *life, link *fdpass.Packets) {
		l.readAll(link, func(packet []byte, _ []*os.File) {
			_, jobs, err := spawn.DecodeJobs(packet)
			if err != nil {
				return
			}
			for range 2 {
				r := []spawn.Result{{Delivery: jobs[0].Recipients[0].Delivery, Class: spawn.Deferral, Text: "twice\n"}}
				_, _ = link.TrySend(spawn.AppendResults(nil, r)) // the link may have ended
			}
		})
	}},
	{"long words that are no text", func(l *life, link *fdpass.Packets) {
		l.answerJobs(link, func(spawn.Job) (spawn.Class, string) {
			return spawn.Deferral, string(l.garbage(spawn.MaxText))
		})
	}},
}

// answerJobs answers what it is given without doing any of it.
func (l *life) answerJobs(link *fdpass.Packets, say func(spawn.Job) (spawn.Class, string)) {
	l.readAll(link, func(packet []byte, _ []*os.File) {
		_, jobs, err := spawn.DecodeJobs(packet)
		if err != nil {
			l.say("FOUND: a packet of jobs is none: %v", err)
			return
		}
		for _, j := range jobs {
			var results []spawn.Result
			for _, r := range j.Recipients {
				class, text := say(j)
				results = append(results, spawn.Result{Delivery: r.Delivery, Class: class, Text: text})
			}
			_, _ = link.TrySend(spawn.AppendResults(nil, results)) // the link may have ended
		}
	})
}
