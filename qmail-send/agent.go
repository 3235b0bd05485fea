package qmailsend

import (
	"errors"
	"hash/fnv"
	"io"
	"os"
	"slices"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/mailbox"
)

// job is what an agent's writer sends, with the entry whose body goes along.
type job struct {
	spawn.Job
	entry *queuedir.Entry
}

// inPacket tells whether the message goes in the packet itself.
func (j job) inPacket() bool {
	return j.entry.Footer.Inline && j.entry.Footer.BodySize <= spawn.MaxInline
}

// messageSize bounds what the message adds to a packet.
func (j job) messageSize() int {
	return spawn.MessageSize(spawn.Message{}) + int(min(j.entry.Footer.BodySize, spawn.MaxInline))
}

// openMessage takes the message out of the entry.
func (j *job) openMessage() (err error) {
	if j.inPacket() {
		j.Message.Bytes, err = j.entry.Bytes()
		return err
	}
	j.Message.ByFile = true
	j.Message.File, err = j.entry.Body()
	return err
}

// agent is the link to qmail-lspawn or to a qmail-remote worker.
type agent struct {
	name    string
	slots   int // in each packet of jobs
	packets *fdpass.Packets
	jobs    *mailbox.Box[job]
}

// agents are the links to those who deliver.
type agents struct {
	local   *agent
	remotes []*agent // by number; nil: away
}

// attach puts ag in its place.
func (g *agents) attach(ag *agent, c channelID, number int) {
	if c == local {
		g.local = ag
		return
	}
	for len(g.remotes) <= number {
		g.remotes = append(g.remotes, nil)
	}
	g.remotes[number] = ag
}

// current returns who is in that place, or nil.
func (g *agents) current(c channelID, number int) *agent {
	if c == local {
		return g.local
	}
	if number < len(g.remotes) {
		return g.remotes[number]
	}
	return nil
}

// remove takes ag out; false says that it was no longer there.
func (g *agents) remove(ag *agent) bool {
	if g.local == ag {
		g.local = nil
		return true
	}
	for i := range g.remotes {
		if g.remotes[i] == ag {
			g.remotes[i] = nil
			return true
		}
	}
	return false
}

// choose returns who delivers to host: always the same worker, the next one
// while that is away, nil if none is there.
func (g *agents) choose(c channelID, host string) *agent {
	if c == local {
		return g.local
	}
	if len(g.remotes) == 0 {
		return nil
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, host) // never fails
	first := int(h.Sum32() % uint32(len(g.remotes)))
	for i := range g.remotes {
		if ag := g.remotes[(first+i)%len(g.remotes)]; ag != nil {
			return ag
		}
	}
	return nil
}

// any reports whether somebody delivers for c.
func (g *agents) any(c channelID) bool {
	if c == local {
		return g.local != nil
	}
	return slices.ContainsFunc(g.remotes, func(ag *agent) bool { return ag != nil })
}

func (g *agents) closeAll() {
	for _, ag := range append([]*agent{g.local}, g.remotes...) {
		if ag != nil {
			ag.close()
		}
	}
}

// serving reports whether a channel can deliver: it is not held, and somebody
// is there.
func (s *scheduler) serving(w *way) bool {
	return w.limit > 0 && s.agents.any(w.id)
}

// attachAgent begins to use the link f to qmail-lspawn or a remote worker.
func (s *scheduler) attachAgent(name string, f *os.File, c channelID, number int) error {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return err
	}
	ag := &agent{name: name, packets: packets, jobs: mailbox.New[job]()}
	if c == local {
		ag.slots = s.settings.concurrency[local]
	}
	s.post(func() {
		if old := s.agents.current(c, number); old != nil {
			s.agentLost(old)
		}
		s.agents.attach(ag, c, number)
		go s.sendJobs(ag)
		go s.receiveResults(ag)
	})
	return nil
}

func (ag *agent) put(j job) { ag.jobs.Put(j) }

// close ends both goroutines of ag.
func (ag *agent) close() {
	ag.jobs.Discard()
	_ = ag.packets.Close() // nothing is lost: its deliveries are deferred
}

// sendJobs sends what is put, many jobs a packet, each with an open file of
// its own.
func (s *scheduler) sendJobs(ag *agent) {
	for {
		jobs := ag.jobs.TakeAll()
		if jobs == nil {
			return
		}
		for len(jobs) > 0 {
			n, err := s.sendPacket(ag, jobs)
			if err != nil {
				s.post(func() { s.agentLost(ag) })
				return
			}
			jobs = jobs[n:]
		}
	}
}

// sendPacket sends the first jobs, as many as fit, and returns their number.
func (s *scheduler) sendPacket(ag *agent, jobs []job) (int, error) {
	var files []*os.File
	defer func() { fdpass.CloseAll(files) }()
	var batch []spawn.Job
	size, n := 0, 0
	for ; n < len(jobs); n++ {
		j := jobs[n]
		if !spawn.JobsFit(len(batch)+1, size+spawn.JobSize(j.Job)+j.messageSize()) {
			break
		}
		if err := j.openMessage(); err != nil {
			damaged := errors.Is(err, queuedir.ErrDamaged) || errors.Is(err, queuedir.ErrTorn)
			s.post(func() { s.jobFailed(ag, j.Job, err, damaged) })
			continue
		}
		if j.Message.ByFile {
			files = append(files, j.Message.File)
		}
		batch = append(batch, j.Job)
		size += spawn.JobSize(j.Job)
	}
	if len(batch) == 0 {
		return n, nil
	}
	return n, ag.packets.Send(spawn.AppendJobs(nil, ag.slots, batch), files...)
}

// receiveResults posts what ag reports until it ends or breaks the protocol.
func (s *scheduler) receiveResults(ag *agent) {
	buf := make([]byte, spawn.MaxPacket)
	for {
		n, _, err := ag.packets.Receive(buf, 0)
		var results []spawn.Result
		if err == nil {
			results, err = spawn.DecodeResults(buf[:n])
		}
		if err != nil {
			s.post(func() { s.agentLost(ag) })
			return
		}
		s.post(func() { s.results(ag, results) })
	}
}
