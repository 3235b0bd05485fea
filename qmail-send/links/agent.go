package links

import (
	"errors"
	"hash/fnv"
	"io"
	"os"
	"slices"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/mailbox"
)

// Job is what an agent's writer sends, with the entry whose body goes along.
type Job struct {
	spawn.Job
	Entry *queuedir.Entry
}

// inPacket tells whether the message goes in the packet itself.
func (j Job) inPacket() bool {
	return j.Entry.Footer.Inline && j.Entry.Footer.BodySize <= spawn.MaxInline
}

// messageSize bounds what the message adds to a packet.
func (j Job) messageSize() int {
	return spawn.MessageSize(spawn.Message{}) + int(min(j.Entry.Footer.BodySize, spawn.MaxInline))
}

// openMessage takes the message out of the entry.
func (j *Job) openMessage() (err error) {
	if j.inPacket() {
		j.Message.Bytes, err = j.Entry.Bytes()
		return err
	}
	j.Message.ByFile = true
	j.Message.File, err = j.Entry.Body()
	return err
}

// AgentListener is told what happens on the link to an agent, by the goroutines
// of the link.
type AgentListener interface {
	// AgentEnds says that the link has ended, or that the agent broke its protocol.
	AgentEnds(ag *Agent)
	// JobFails says that a job could not be sent, whose message cannot be read.
	JobFails(ag *Agent, j spawn.Job, err error, damaged bool)
	AgentReports(ag *Agent, results []spawn.Result)
}

// Agent is the link to qmail-lspawn or to a qmail-remote worker.
type Agent struct {
	Name    string
	slots   int // in each packet of jobs
	packets *fdpass.Packets
	Jobs    *mailbox.Box[Job]
}

// Agents are the links to those who deliver.
type Agents struct {
	local   *Agent
	remotes []*Agent // by number; nil: away
}

// Attach puts ag in its place.
func (g *Agents) Attach(ag *Agent, c route.Channel, number int) {
	if c == route.Local {
		g.local = ag
		return
	}
	for len(g.remotes) <= number {
		g.remotes = append(g.remotes, nil)
	}
	g.remotes[number] = ag
}

// Current returns who is in that place, or nil.
func (g *Agents) Current(c route.Channel, number int) *Agent {
	if c == route.Local {
		return g.local
	}
	if number < len(g.remotes) {
		return g.remotes[number]
	}
	return nil
}

// Remove takes ag out; false says that it was no longer there.
func (g *Agents) Remove(ag *Agent) bool {
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

// Choose returns who delivers to host: always the same worker, the next one
// while that is away, nil if none is there.
func (g *Agents) Choose(c route.Channel, host string) *Agent {
	if c == route.Local {
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

// Any reports whether somebody delivers for c.
func (g *Agents) Any(c route.Channel) bool {
	if c == route.Local {
		return g.local != nil
	}
	return slices.ContainsFunc(g.remotes, func(ag *Agent) bool { return ag != nil })
}

// CloseAll closes all links.
func (g *Agents) CloseAll() {
	for _, ag := range append([]*Agent{g.local}, g.remotes...) {
		if ag != nil {
			ag.Close()
		}
	}
}

// NewAgent returns the agent at the other end of f. slots go into each packet of
// jobs.
func NewAgent(name string, f *os.File, slots int) (*Agent, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	return &Agent{Name: name, slots: slots, packets: packets, Jobs: mailbox.New[Job]()}, nil
}

// Run begins to send and to receive, until the link ends or is closed.
func (ag *Agent) Run(l AgentListener) {
	go ag.sendJobs(l)
	go ag.receiveResults(l)
}

// Put has j sent. It never waits.
func (ag *Agent) Put(j Job) { ag.Jobs.Put(j) }

// Close ends both goroutines of ag.
func (ag *Agent) Close() {
	ag.Jobs.Discard()
	_ = ag.packets.Close() // nothing is lost: its deliveries are deferred
}

// sendJobs sends what is put, many jobs a packet, each with an open file of
// its own.
func (ag *Agent) sendJobs(l AgentListener) {
	for {
		jobs := ag.Jobs.TakeAll()
		if jobs == nil {
			return
		}
		for len(jobs) > 0 {
			n, err := ag.sendPacket(l, jobs)
			if err != nil {
				l.AgentEnds(ag)
				return
			}
			jobs = jobs[n:]
		}
	}
}

// sendPacket sends the first jobs, as many as fit, and returns their number.
func (ag *Agent) sendPacket(l AgentListener, jobs []Job) (int, error) {
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
			l.JobFails(ag, j.Job, err, damaged)
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

// receiveResults tells what ag reports until it ends or breaks the protocol.
func (ag *Agent) receiveResults(l AgentListener) {
	buf := make([]byte, spawn.MaxPacket)
	for {
		n, _, err := ag.packets.Receive(buf, 0)
		var results []spawn.Result
		if err == nil {
			results, err = spawn.DecodeResults(buf[:n])
		}
		if err != nil {
			l.AgentEnds(ag)
			return
		}
		l.AgentReports(ag, results)
	}
}
